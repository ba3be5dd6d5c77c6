import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressGuard } from '#shared/addressGuard.ts';

/** Time a webhook has for its answer, ms. */
export const webhookTimeoutMs = 10_000;

export class WebhookTimeout extends Error {
  constructor() {
    super(`no answer within ${webhookTimeoutMs} ms`);
  }
}

export interface WebhookCall {
  readonly url: string;
  readonly secret: string | null;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly guard: AddressGuard;
}

/**
 * Posts a body; resolves where the answer is 2xx, follows nothing, reads nothing. `mplp-signature` is
 * `t=<epoch seconds>,v1=<HMAC-SHA256 of "<t>.<body>", hex>`.
 * @throws {Error} with what went wrong, for a reader.
 */
export function postWebhook({ url, secret, body, headers, guard }: WebhookCall): Promise<void> {
  const target = new URL(url);
  // A literal address is connected to without a look-up.
  const problem = guard.findAddressProblem(url);
  if (problem !== null) return Promise.reject(new Error(problem));
  const at = Math.floor(Date.now() / 1_000);
  const signature =
    secret === null ? null : `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
  return new Promise((resolve, reject) => {
    const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(target, {
      method: 'POST',
      lookup: guard.lookup,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'mplp-graph',
        ...headers,
        ...(signature === null ? {} : { 'mplp-signature': signature }),
      },
      signal: AbortSignal.timeout(webhookTimeoutMs),
    });
    request.once('error', (error) => reject(error.name === 'TimeoutError' ? new WebhookTimeout() : error));
    request.once('response', (response) => {
      const status = response.statusCode ?? 0;
      response.resume();
      response.once('error', () => {});
      if (status >= 200 && status < 300) resolve();
      else reject(new Error(`it answered ${status}`));
    });
    request.end(body);
  });
}
