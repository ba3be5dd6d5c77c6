import { parseArgs } from 'node:util';
import { readConfig } from '#shared/config.ts';
import type { Principal } from '#shared/principal.ts';
import { isIdentifier, isScope } from './auth/claims.ts';
import { maxTokenBytes } from './auth/jwt.ts';
import { mintToken, type TokenRequest } from './auth/mintToken.ts';
import { developmentKeyDir, loadDevelopmentKey, loadSigningKey } from './auth/signingKey.ts';

const usage = `usage: npm run -s token -- --tenant T --subject S [options]
  --roles a,b       roles: admin, member, agent, viewer or your own
  --scopes x:y,z:*  permissions beyond those of the roles
  --type TYPE       agent (default), human or service
  --name NAME       display name
  --ttl SECONDS     life, 1 to 86400 (default 3600)
  --acr ACR         how the subject was authenticated; mfa lets it do what needs a stepped-up token
  --kid KID         name of the key in the issuer's JWKS (default: its fingerprint)
Signs with AUTH_PRIVATE_KEY_FILE when it is set, else with the development key under DATA_DIR.
`;

const maxTtlSeconds = 86_400;
const defaultTtlSeconds = 3_600;

class UsageError extends Error {}

function splitList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
}

function readSubjectType(text: string): Principal['subjectType'] {
  if (text === 'agent' || text === 'human' || text === 'service') return text;
  throw new UsageError(`--type: expected agent, human or service, got "${text}"`);
}

function readIdentifier(name: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`--${name} is missing`);
  if (!isIdentifier(value))
    throw new UsageError(`--${name}: expected 1 to 128 characters of A-Z a-z 0-9 . _ : @ -, got "${value}"`);
  return value;
}

interface Command {
  readonly request: TokenRequest;
  readonly kid: string | undefined;
}

function readCommand(args: readonly string[]): Command | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      tenant: { type: 'string' },
      subject: { type: 'string' },
      roles: { type: 'string' },
      scopes: { type: 'string' },
      type: { type: 'string', default: 'agent' },
      name: { type: 'string' },
      ttl: { type: 'string', default: String(defaultTtlSeconds) },
      kid: { type: 'string' },
      acr: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const ttlSeconds = Number(values.ttl);
  if (!/^\d+$/.test(values.ttl) || ttlSeconds < 1 || ttlSeconds > maxTtlSeconds) {
    throw new UsageError(`--ttl: expected 1 to ${maxTtlSeconds} whole seconds, got "${values.ttl}"`);
  }
  const scopes = splitList(values.scopes);
  const badScope = scopes.find((scope) => !isScope(scope));
  if (badScope !== undefined) throw new UsageError(`--scopes: expected resource:action or *, got "${badScope}"`);
  const request: TokenRequest = {
    tenant: readIdentifier('tenant', values.tenant),
    subject: readIdentifier('subject', values.subject),
    subjectType: readSubjectType(values.type),
    roles: splitList(values.roles).map((role) => readIdentifier('roles', role)),
    scopes,
    ttlSeconds,
    ...(values.name === undefined ? {} : { displayName: values.name }),
    ...(values.acr === undefined ? {} : { acr: readIdentifier('acr', values.acr) }),
  };
  return { request, kid: values.kid };
}

function isUsageError(error: unknown): error is Error {
  if (error instanceof UsageError) return true;
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Mints the token that the arguments describe; exit code 2 for unusable arguments, 1 for anything else that fails. */
export async function runTokenCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<CommandResult> {
  try {
    const command = readCommand(args);
    if (command === 'help') return { exitCode: 0, stdout: usage, stderr: '' };
    const config = readConfig(environment);
    const privateKeyFile = environment['AUTH_PRIVATE_KEY_FILE'];
    if (config.production && !privateKeyFile) {
      throw new Error(
        'production accepts no development token: set AUTH_PRIVATE_KEY_FILE to the private key of the issuer',
      );
    }
    const key = privateKeyFile ? loadSigningKey(privateKeyFile) : loadDevelopmentKey(developmentKeyDir(config.dataDir));
    const token = await mintToken(command.request, {
      key,
      issuer: config.AUTH_ISSUER,
      audience: config.AUTH_AUDIENCE,
      ...(command.kid === undefined ? {} : { kid: command.kid }),
    });
    if (token.length > maxTokenBytes)
      throw new Error(
        `the token has ${token.length} bytes, the gateway accepts ${maxTokenBytes}: name fewer roles and scopes`,
      );
    return { exitCode: 0, stdout: `${token}\n`, stderr: '' };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return isUsageError(error)
      ? { exitCode: 2, stdout: '', stderr: `${message}\n\n${usage}` }
      : { exitCode: 1, stdout: '', stderr: `${message}\n` };
  }
}

if (import.meta.main) {
  const { exitCode, stdout, stderr } = await runTokenCommand(process.argv.slice(2), process.env);
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = exitCode;
}
