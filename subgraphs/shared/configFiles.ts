import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Variables of `default.json` and, over them, of `<environment>.json` in a folder, as text. A file that is not there says
 * nothing.
 * @throws {Error} where a file is not an object of texts, numbers and booleans.
 */
export function readConfigFiles(folder: string, environment: string): Readonly<Record<string, string>> {
  return { ...readFile(join(folder, 'default.json')), ...readFile(join(folder, `${environment}.json`)) };
}

function readFile(path: string): Readonly<Record<string, string>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return {};
    throw error;
  }
  return readPlainValues(text, path);
}

/** An object of texts, numbers and booleans in JSON, as texts. @throws {Error} with `where` where it is none. */
export function readPlainValues(text: string, where: string): Readonly<Record<string, string>> {
  const fault = (problem: string) => new Error(`${where}: ${problem}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw fault(`it is not JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw fault('expected an object');
  return Object.fromEntries(
    Object.entries(parsed).map(([name, value]) => {
      if (!['string', 'number', 'boolean'].includes(typeof value))
        throw fault(`${name}: expected text, a number, true or false`);
      return [name, String(value)];
    }),
  );
}
