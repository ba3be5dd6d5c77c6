import { hash } from 'node:crypto';
import { derivedId } from '#shared/derivedId.ts';

/** Id of the stream of a subject's events: streams have UUIDs, subjects any text. */
export function subjectStream(subjectId: string): string {
  const hex = hash('sha256', `role.subject/${subjectId}`, 'hex');
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The stream of decisions about a subject: apart, since asking about somebody does not make it known. */
export const accessStream = (subjectId: string): string => derivedId(`access ${subjectId}`);
