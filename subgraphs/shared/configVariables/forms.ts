import { isIP } from 'node:net';
import { z } from 'zod';
import { isSubgraphName, type SubgraphName, subgraphNames } from '../../names.ts';

export const port = z.coerce.number().int().min(0).max(65_535);
export const flag = z
  .enum(['true', 'false', '1', '0', 'on', 'off'])
  .transform((value) => ['true', '1', 'on'].includes(value));
export const count = z.coerce.number().int().min(1);

export const riskCutoffs = z.string().transform((text, context): [number, number, number, number] => {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  const [low, medium, high, critical] = values;
  if (values.length === 4 && low! > 0 && low! < medium! && medium! < high! && high! < critical! && critical! <= 1)
    return [low!, medium!, high!, critical!];
  context.addIssue({ code: 'custom', message: `expected four rising numbers over 0 to 1, got "${text}"` });
  return z.NEVER;
});

export const zeroOrMore = z.coerce.number().int().min(0);

const parts = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);

export const domainList = z.string().transform((text, context) => {
  const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
  const form = new RegExp(`^${label}(\\.${label})*$`, 'i');
  const wrong = parts(text).find((domain) => domain.length > 253 || !form.test(domain));
  if (wrong === undefined) return parts(text);
  context.addIssue({ code: 'custom', message: `expected domains like nodes.example.org, got "${wrong}"` });
  return z.NEVER;
});

export const serverList = z.string().transform((text, context) => {
  const isServer = (server: string) => {
    const [, bracketed, host, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(server) ?? [];
    return isIP(server) !== 0 || (isIP(bracketed ?? host ?? '') !== 0 && Number(port ?? 53) <= 65_535);
  };
  const wrong = parts(text).find((server) => !isServer(server));
  if (wrong === undefined) return parts(text);
  context.addIssue({ code: 'custom', message: `expected addresses like 10.0.0.2 or 10.0.0.2:53, got "${wrong}"` });
  return z.NEVER;
});

export const addressList = z.string().transform((text, context) => {
  const addresses = text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
  for (const address of addresses) {
    const [host, prefix, ...rest] = address.split('/');
    const bits = isIP(host ?? '') === 6 ? 128 : 32;
    const fits = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
    if (isIP(host ?? '') !== 0 && fits && rest.length === 0) continue;
    context.addIssue({ code: 'custom', message: `expected addresses like 10.0.0.0/8, got "${address}"` });
    return z.NEVER;
  }
  return addresses;
});

export const nameList = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);

export const originList = nameList.transform((origins, context) => {
  for (const origin of origins) {
    if (URL.canParse(origin) && /^https?:$/.test(new URL(origin).protocol) && new URL(origin).origin === origin)
      continue;
    context.addIssue({ code: 'custom', message: `expected origins like https://app.example, got "${origin}"` });
    return z.NEVER;
  }
  return origins;
});

export const httpUrl = z
  .string()
  .refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), 'expected an http(s) URL');

export const databaseUrl = urlOf(['postgres:', 'postgresql:'], 'postgres://user:password@host:port/database');

/** The value may hold a password: no message repeats it. */
export function urlOf(protocols: readonly string[], example: string) {
  return z
    .string()
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), `expected ${example}`);
}

export const subgraphUrls = z.string().transform((text, context) => {
  const urls = new Map<SubgraphName, string>();
  for (const part of text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)) {
    const [name, ...rest] = part.split('=');
    const url = rest.join('=');
    if (!isSubgraphName(name ?? '') || !URL.canParse(url)) {
      context.addIssue({ code: 'custom', message: `expected name=url pairs, got "${part}"` });
      return z.NEVER;
    }
    urls.set(name as SubgraphName, url);
  }
  return urls;
});

export const subgraphList = z.string().transform((text, context) => {
  const names = text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
  for (const name of names) {
    if (!isSubgraphName(name)) {
      context.addIssue({
        code: 'custom',
        message: `unknown subgraph "${name}"; there are: ${subgraphNames.join(', ')}`,
      });
      return z.NEVER;
    }
  }
  return names as SubgraphName[];
});
