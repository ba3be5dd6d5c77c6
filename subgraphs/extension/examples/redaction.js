// Takes secrets out of texts: keys of cloud providers, tokens, private keys, passwords in URLs and assignments.
const rules = [
  ['PRIVATE_KEY', /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g],
  ['AWS_ACCESS_KEY', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g],
  ['GITHUB_TOKEN', /\bgh[pousr]_[A-Za-z0-9]{36,255}\b/g],
  ['JWT', /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\b/g],
  ['URL_PASSWORD', /(?<=:\/\/[^\s:/@]{1,64}:)[^\s:/@]{1,128}(?=@)/g],
  [
    'ASSIGNED_SECRET',
    /(?<=\b(?:password|passwd|secret|api[_-]?key|token)\s{0,4}[=:]\s{0,4})["']?[^\s"']{6,200}["']?/gi,
  ],
];

function redact(text) {
  const found = {};
  let redacted = text;
  for (const [kind, pattern] of rules)
    redacted = redacted.replace(pattern, () => {
      found[kind] = (found[kind] ?? 0) + 1;
      return `[${kind}]`;
    });
  return { text: redacted, found };
}

function redactAll(value, found) {
  if (typeof value === 'string') {
    const result = redact(value);
    for (const [kind, count] of Object.entries(result.found)) found[kind] = (found[kind] ?? 0) + count;
    return result.text;
  }
  if (Array.isArray(value)) return value.map((item) => redactAll(item, found));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactAll(item, found)]));
  return value;
}

export const Redaction = {
  redact: ({ text }) => redact(text),

  // Before a message is sent: the payload without its secrets, or a veto where the settings say so.
  beforeMessage({ payload }, { config }) {
    const found = {};
    const cleaned = redactAll(payload, found);
    if (Object.keys(found).length === 0) return null;
    if (config.veto === true) return { veto: `the message holds secrets: ${Object.keys(found).join(', ')}` };
    return { payload: cleaned };
  },

  healthCheck: () => redact('password=correcthorse').text === 'password=[ASSIGNED_SECRET]',
};
