import type { IncomingHttpHeaders } from 'node:http';

export function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** Clients put the token into connection_init under either name. */
export function bearerOf(parameters: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const value = parameters?.['authorization'] ?? parameters?.['Authorization'];
  return typeof value === 'string' ? value : undefined;
}

export function isLocalHost(host: string | undefined): boolean {
  return host !== undefined && /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host);
}

/** Browsers say where a page comes from; a GET without CORS carries no Origin, but Sec-Fetch-Site. */
export function mayAsk(origin: string | undefined, headers: IncomingHttpHeaders): boolean {
  if (origin !== undefined) return URL.canParse(origin) && new URL(origin).host === headers.host;
  return ['same-origin', 'none', undefined].includes(headerText(headers['sec-fetch-site']));
}
