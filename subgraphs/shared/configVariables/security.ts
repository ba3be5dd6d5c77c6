import { z } from 'zod';
import { count, flag, httpUrl, nameList } from './forms.ts';

/** Who is believed, and what secrets are sealed with. */
export const securityVariables = {
  AUTH_JWKS_URL: { schema: httpUrl.optional(), description: 'JWKS of the token issuer' },
  AUTH_PUBLIC_KEY_FILE: {
    schema: z.string().optional(),
    description: 'PEM public key of the token issuer, instead of a JWKS',
  },
  AUTH_PRIVATE_KEY_FILE: {
    schema: z.string().optional(),
    description: 'PEM private key with which `npm run token` signs in production',
  },
  AUTH_ISSUER: { schema: z.string().default('mplp-development'), description: 'required `iss`' },
  AUTH_AUDIENCE: { schema: z.string().default('mplp-graph'), description: 'required `aud`' },
  AUTH_MAX_TOKEN_LIFE_SECONDS: {
    schema: count.default(86_400),
    description: 'longest life of a token from its `iat` to its `exp`, s; without `iat`, from now on',
  },
  AUTH_ALLOW_TOKENS_WITHOUT_ID: {
    schema: flag.default(false),
    description:
      'whether tokens without `jti` are accepted, of issuers that give none: they cannot be revoked one by one',
  },
  STEP_UP_ACR: {
    schema: nameList.default(['mfa']),
    description: 'values of `acr` that count as a stepped-up authentication, comma separated',
  },
  STEP_UP_MAX_AGE_SECONDS: {
    schema: count.default(900),
    description: 'how long after `auth_time` it counts as fresh, s',
  },
  API_TOKENS_PER_SUBJECT: { schema: count.default(50), description: 'API tokens of a subject that are in force' },
  ENCRYPTION_KEY_FILE: {
    schema: z.string().min(1).optional(),
    description:
      'master keys, a line each as name:base64 of 32 bytes, the first one in use; made under DATA_DIR outside production',
  },
  ENCRYPTION_VAULT_URL: {
    schema: httpUrl.optional(),
    description:
      'key management service that wraps data keys in place of the file: the transit engine of Vault, or what speaks like it; a file beside it opens what it wrapped before',
  },
  ENCRYPTION_VAULT_KEY: {
    schema: z
      .string()
      .regex(/^[\w.-]{1,64}$/)
      .default('mplp'),
    description: 'its key',
  },
  ENCRYPTION_VAULT_MOUNT: {
    schema: z
      .string()
      .regex(/^[\w.-]+(?:\/[\w.-]+)*$/)
      .default('transit'),
    description: 'where its engine is mounted',
  },
  ENCRYPTION_VAULT_TOKEN_FILE: {
    schema: z.string().min(1).optional(),
    description: 'file with the token it takes, read at each call',
  },
  DATA_KEY_DAYS: { schema: count.default(90), description: 'days after which a tenant gets a new data key' },
  INTERNAL_SECRET: {
    schema: z.string().min(32).optional(),
    description: 'signs the identity the gateway hands to subgraphs; generated under DATA_DIR when absent',
  },
} as const;
