import { isLiveVariable } from './config.ts';
import { readPlainValues } from './configFiles.ts';
import type { Logger } from './telemetry.ts';

/** Time the service has for its answer, ms. */
const timeoutMs = 5_000;
const maxBytes = 1_048_576;

export interface ConfigService {
  /** Asks anew; what cannot be had or read leaves the last answer in force. */
  read(): Promise<Readonly<Record<string, string>>>;
  /** The last answer. */
  readonly values: Readonly<Record<string, string>>;
}

/** Values of live variables that a service in the network hands out: `GET` answers a JSON object of them. */
export function createConfigService(url: string, logger: Pick<Logger, 'warn'>): ConfigService {
  let values: Readonly<Record<string, string>> = {};

  async function ask(): Promise<Readonly<Record<string, string>>> {
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    const text = await response.text();
    if (text.length > maxBytes) throw new Error(`expected at most ${maxBytes} characters`);
    const given = readPlainValues(text, 'its answer');
    const unknown = Object.keys(given).filter((name) => !isLiveVariable(name));
    if (unknown.length > 0)
      logger.warn(
        { variables: unknown.slice(0, 20) },
        'the configuration service names what does not change at run time',
      );
    return Object.fromEntries(Object.entries(given).filter(([name]) => isLiveVariable(name)));
  }

  return {
    async read() {
      try {
        values = await ask();
      } catch (error) {
        logger.warn({ error: String(error) }, 'the configuration service cannot be read; its last answer holds');
      }
      return values;
    },
    get values() {
      return values;
    },
  };
}
