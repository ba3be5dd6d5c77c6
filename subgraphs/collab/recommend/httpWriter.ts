import { CircuitState, circuitBreaker, handleAll } from 'cockatiel';
import { z } from 'zod';
import type { Config } from '#shared/config.ts';
import type { Logger } from '#shared/telemetry.ts';
import { circuitFigures, WindowBreaker } from '#shared/windowBreaker.ts';
import type { Ranked } from './rank.ts';
import { plainWords, type RecommendationWriter } from './wording.ts';

const maxBytes = 65_536;
const answer = z.object({ wording: z.string() });

interface HttpWriterOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly timeoutMs: number;
}

/**
 * Has a service in the network word advice: `POST` of its type, action, figures and evidence with the plain words for it as
 * JSON; it answers `{ "wording": "..." }`. One that fails five times within a minute is left alone for half a minute.
 */
export function createHttpWriter(
  { url, token, timeoutMs }: HttpWriterOptions,
  logger: Pick<Logger, 'warn'>,
): RecommendationWriter {
  const circuit = circuitBreaker(handleAll, { halfOpenAfter: circuitFigures.recoveryMs, breaker: new WindowBreaker() });
  circuit.onBreak(() => logger.warn({}, 'what words recommendations fails; it is asked again in half a minute'));

  async function ask(recommendation: Ranked): Promise<string> {
    const { type, action, before, after, gain, confidence, score, evidence } = recommendation;
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        accept: 'application/json',
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({
        ...{ type, action, before, after, gain, confidence, score, evidence },
        plainWords: plainWords(recommendation),
      }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`it answered ${response.status}`);
    }
    return answer.parse(JSON.parse(await readText(response))).wording;
  }

  return {
    async write(recommendation) {
      try {
        return await circuit.execute(() => ask(recommendation));
      } catch (error) {
        if (circuit.state === CircuitState.Closed)
          logger.warn({ error: String(error) }, 'what words recommendations does not answer');
        throw error;
      }
    },
  };
}

/** The writer that is configured; null where none is. */
export const writerOf = (
  { COLLAB_WRITER_URL: url, COLLAB_WRITER_TOKEN: token, COLLAB_WRITER_TIMEOUT_MS: timeoutMs }: Config,
  logger: Pick<Logger, 'warn'>,
): RecommendationWriter | null => (url === undefined ? null : createHttpWriter({ url, token, timeoutMs }, logger));

async function readText({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw new Error(`expected at most ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
