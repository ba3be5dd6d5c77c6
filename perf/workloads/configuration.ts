import { randomUUID } from 'node:crypto';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { type ConfigurationSeed, configKey } from '../seeds/configuration.ts';

export interface ConfigurationParams {
  readonly seed: ConfigurationSeed;
  readonly admin: string;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const readConfig = 'query Read($key: String!) { config(key: $key) { key value source entry { version scope } } }';
const setConfig = `mutation Set($input: SetConfigInput!, $key: String) {
  setConfig(input: $input, idempotencyKey: $key) { entry { key version } userErrors { code message } }
}`;
const validateConfig = `query Validate($values: [PlatformConfigValueInput!]!) {
  validateConfig(values: $values) { valid problems { key message } }
}`;
/** Values of one document, and how many documents have one that is none. */
const documentValues = 50;
const brokenEvery = 10;

/** Values read, changed and checked, keys by Zipf. */
export const createWorkload: CreateWorkload<ConfigurationParams> = async ({ seed, admin, mix }) => {
  const zipf = createZipf(seed.entries);
  const headers = { authorization: `Bearer ${admin}` };
  let documents = 0;
  const next: Readonly<Record<string, RequestOperation['next']>> = {
    config_read(random): GraphqlCall {
      const key = configKey(zipf.sample(random));
      return {
        query: readConfig,
        variables: { key },
        headers,
        check: ({ data }) => readPath(data, 'config', 'key') === key || `expected the value of ${key}`,
      };
    },
    config_update: (random): GraphqlCall => ({
      query: setConfig,
      variables: {
        input: { key: configKey(zipf.sample(random)), value: { limit: random.integer(1_000), label: 'changed' } },
        key: randomUUID(),
      },
      headers,
      check: (response) => withoutUserErrors(response, 'setConfig'),
    }),
    config_validation(random): GraphqlCall {
      documents += 1;
      const isBroken = documents % brokenEvery === 0;
      const values = Array.from({ length: documentValues }, (_, at) => ({
        key: at % 5 === 0 ? 'PLAN_SESSIONS' : configKey(random.integer(seed.entries)),
        value: at === 0 && isBroken ? 'many' : 1 + random.integer(1_000),
      }));
      return {
        query: validateConfig,
        variables: { values },
        headers,
        check: ({ data }) =>
          readPath(data, 'validateConfig', 'valid') === !isBroken ||
          `expected the values to be ${isBroken ? 'refused' : 'taken'}`,
      };
    },
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
  };
};
