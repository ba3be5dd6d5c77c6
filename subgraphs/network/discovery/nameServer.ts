import { Resolver } from 'node:dns/promises';

/** Who offers a service by the name server. */
export interface Located {
  /** Without the dot at its end, in lower case. */
  readonly host: string;
  readonly port: number;
  /** The smaller, the sooner it is used. */
  readonly priority: number;
  readonly weight: number;
}

export interface LocatedService {
  readonly hosts: readonly Located[];
  /** Of the TXT record beside it. */
  readonly version: string | null;
  readonly capabilities: readonly string[];
}

/** The name server does not know the service. */
export class UnknownName extends Error {}
/** No name server answered. */
export class NoNameServer extends Error {}

/** What one name may lead to: more is no directory of one network. */
const maxHosts = 100;

/** Whether the domain is one of those permitted, or lies in one. */
export function isPermitted(domain: string, permitted: readonly string[]): boolean {
  const asked = `.${domain.toLowerCase()}`;
  return permitted.some((one) => asked.endsWith(`.${one.toLowerCase()}`));
}

/**
 * Services by SRV records (RFC 2782) with what the TXT record of the same name says of them (`version`, `capabilities` divided by
 * commas; DNS-SD, RFC 6763, 6). Names are asked for and nothing is ever connected to.
 */
export function createNameServer({
  servers,
  timeoutMs,
}: {
  /** Addresses with ports. @default those of the system */
  readonly servers: readonly string[] | undefined;
  readonly timeoutMs: number;
}) {
  return {
    /** @throws {UnknownName} {NoNameServer} */
    async locate(service: string, domain: string): Promise<LocatedService> {
      const resolver = new Resolver({ timeout: timeoutMs, tries: 1 });
      if (servers !== undefined) resolver.setServers(servers);
      const name = `_${service}._tcp.${domain}`;
      try {
        const [found, texts] = await Promise.all([
          resolver.resolveSrv(name),
          resolver.resolveTxt(name).catch(() => []),
        ]);
        const said = new Map(
          texts
            .map((chunks) => chunks.join(''))
            .filter((text) => text.includes('='))
            .map((text) => [text.slice(0, text.indexOf('=')).toLowerCase(), text.slice(text.indexOf('=') + 1)]),
        );
        return {
          hosts: found.slice(0, maxHosts).map((record) => ({
            host: record.name.replace(/\.$/, '').toLowerCase(),
            ...{ port: record.port, priority: record.priority, weight: record.weight },
          })),
          version: said.get('version') ?? null,
          capabilities: (said.get('capabilities') ?? '').split(',').flatMap((one) => one.trim() || []),
        };
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        throw code === 'ENOTFOUND' || code === 'ENODATA' ? new UnknownName(name) : new NoNameServer(name);
      }
    },
  };
}

export type NameServer = ReturnType<typeof createNameServer>;
