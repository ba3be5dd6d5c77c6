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

/** Browsers say where a page comes from; a GET without CORS carries no Origin, but Sec-Fetch-Site. `origins` may ask beside the own. */
export function mayAsk(
  origin: string | undefined,
  headers: IncomingHttpHeaders,
  origins: ReadonlySet<string> = new Set(),
): boolean {
  if (origin !== undefined)
    return origins.has(origin) || (URL.canParse(origin) && new URL(origin).host === headers.host);
  return ['same-origin', 'none', undefined].includes(headerText(headers['sec-fetch-site']));
}

/** Whether a request may change something, as far as it says: one that names its document by id or hash may. */
export function isMutation({ method, body, url }: { method: string; body: unknown; url: string }): boolean {
  if (method !== 'POST') return false;
  const query = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)['query'] : undefined;
  return !url.startsWith('/graphql') || typeof query !== 'string' || query.includes('mutation');
}

/** Where a request came from; null stands for one by which a module asks on behalf of its caller. */
export function originOfRequest(instance: string, request: { ip: string; headers: IncomingHttpHeaders } | null) {
  return request === null
    ? { instance }
    : { instance, address: request.ip, userAgent: headerText(request.headers['user-agent']) };
}
