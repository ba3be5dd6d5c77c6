const secretName =
  /^(?:.*[_-])?(?:authorization|password|passwd|secret|token|cookie|api[_-]?key|private[_-]?key|credentials?)$/i;
const camelSecretName = /(?:Password|Secret|Token|ApiKey|PrivateKey|Cookie|Authorization)$/;
/** Bearer credentials, JSON Web Tokens, passwords in URLs. */
const secretText =
  /\bBearer\s+[\w.~+/-]+=*|\beyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]+|(?<=:\/\/[^\s:/@]{0,64}:)[^\s:/@]{1,256}(?=@)/gi;
const mark = '[redacted]';
const maxDepth = 12;

/** Text without credentials, and without what PostgreSQL cannot store. */
export function redactText(text: string): string {
  const clean = text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
  return (clean.isWellFormed() ? clean : clean.toWellFormed()).replace(secretText, mark);
}

/** JSON without the values of keys that name a secret, at any depth, and without credentials in its texts. */
export function redactJson(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxDepth) return mark;
  if (Array.isArray(value)) return value.map((item) => redactJson(item, depth + 1));
  const clean: [string, unknown][] = [];
  for (const [key, item] of Object.entries(value))
    clean.push([redactText(key), isSecretName(key) ? mark : redactJson(item, depth + 1)]);
  return Object.fromEntries(clean);
}

function isSecretName(key: string): boolean {
  return secretName.test(key) || camelSecretName.test(key);
}
