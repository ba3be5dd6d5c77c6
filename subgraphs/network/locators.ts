import { createLocator, type Locators, locateRows } from '#shared/door.ts';

/** What lies in a network is placed by it. */
const through = (table: string, type: string) =>
  createLocator({
    text: `SELECT t.id AS key, n.id, n.context_id AS "contextId" FROM network.${table} t JOIN network.network n ON n.tenant_id = t.tenant_id AND n.id = t.network_id
           WHERE t.tenant_id = $1 AND t.id = ANY($2::uuid[])`,
    type,
  });

/** Contexts of what the module keeps. */
export const networkLocators: Locators = {
  Network: locateRows('Network', 'network.network'),
  NetworkConnection: through('connection', 'Network'),
  NetworkService: through('service', 'Network'),
  NetworkMessage: through('message', 'Network'),
  NetworkOptimization: through('run', 'Network'),
};
