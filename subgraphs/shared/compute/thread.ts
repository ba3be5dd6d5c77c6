import { PlatformError } from '../errors.ts';
import { type ComputeAnswer, describeFailure } from './answer.ts';

/** What a compute thread is asked to do. */
export interface ComputeRequest {
  readonly module: string;
  readonly exportName: string;
  readonly input: unknown;
}

/** Runs in a compute thread: calls the export of the module with the input. */
export default async function runInThread({ module, exportName, input }: ComputeRequest): Promise<ComputeAnswer> {
  try {
    const exports = (await import(module)) as Readonly<Record<string, unknown>>;
    const work = exports[exportName];
    if (typeof work !== 'function') throw new PlatformError('INTERNAL_ERROR', `${module} exports no ${exportName}`);
    return { value: (await work(input)) as unknown };
  } catch (error) {
    return { failure: describeFailure(error) };
  }
}
