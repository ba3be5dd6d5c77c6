import { readFileSync } from 'node:fs';
import { subgraphNames } from '../names.ts';

/** Variables that hold secrets: each may come from a file, as those who run containers mount them. */
const secretVariables = [
  'DATABASE_URL',
  'REDIS_URL',
  'SMTP_URL',
  'INTERNAL_SECRET',
  'COLLAB_WRITER_TOKEN',
  ...subgraphNames.map((name) => `DATABASE_URL_${name.toUpperCase()}`),
];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment with secrets read from the files that `<NAME>_FILE` names; what is wrong with one is added to `problems`,
 * never what stands in it.
 */
export function readSecretFiles(environment: Environment, problems: string[]): Environment {
  const read: Record<string, string> = {};
  for (const name of secretVariables) {
    const file = environment[`${name}_FILE`];
    if (!file) continue;
    if (environment[name]) {
      problems.push(`${name}_FILE: ${name} is set beside it; expected one of the two`);
      continue;
    }
    try {
      const text = readFileSync(file, 'utf8').trim();
      if (text === '') problems.push(`${name}_FILE: ${file} is empty`);
      else read[name] = text;
    } catch (error) {
      problems.push(`${name}_FILE: ${file} cannot be read: ${(error as { code?: string }).code ?? 'unknown'}`);
    }
  }
  return Object.keys(read).length === 0 ? environment : { ...environment, ...read };
}
