/** The only list of subgraphs. Each name is its folder, SDL file, Prisma file, PostgreSQL schema and metric label. */
export const subgraphNames = [
  'collab',
  'confirm',
  'context',
  'core',
  'dialog',
  'extension',
  'network',
  'plan',
  'platform',
  'role',
  'trace',
] as const;

export type SubgraphName = (typeof subgraphNames)[number];

export function isSubgraphName(value: string): value is SubgraphName {
  return (subgraphNames as readonly string[]).includes(value);
}
