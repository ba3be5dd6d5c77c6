import { createHmac, createSecretKey, hkdfSync } from 'node:crypto';

/** HMAC-SHA256 of a subject of a tenant, hex: the same in every process that has the secret, and nobody else's to compute. */
export type SubjectDigest = (tenantId: string, subject: string) => string;

/** @param secret the deployment's internal one; another one makes other digests */
export function createSubjectDigest(secret: string): SubjectDigest {
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'mplp erased subjects v1', 32)));
  return (tenantId, subject) =>
    createHmac('sha256', key)
      .update(JSON.stringify([tenantId, subject]))
      .digest('hex');
}
