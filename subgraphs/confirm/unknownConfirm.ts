import { PlatformError } from '#shared/errors.ts';

/** What is answered of a confirm that is not there, or hidden. */
export function unknownConfirm(id: string, path: readonly string[] = ['confirmId']): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such confirm', { path, details: { confirmId: id } });
}

export function unknownConsensus(path: readonly string[] = ['consensusId']): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such consensus process', { path });
}
