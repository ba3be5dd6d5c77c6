/** What a text becomes that was somebody's own. */
export const erasedText = '[erased]';

/** What happens to what the subject wrote. */
export type ErasedContent = 'keep' | 'redact';

export interface WordsOptions {
  readonly subject: string;
  readonly pseudonym: string;
  readonly content: ErasedContent;
  /** Names of columns: a subject that is called like one is no key of JSON. */
  readonly structural?: ReadonlySet<string>;
}

/** A value as JSON has it; numbers that a double cannot hold stay as they were written. */
export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain } | RawNumber;
interface RawNumber {
  readonly rawJSON: string;
}

export interface Words {
  /** The value with the pseudonym for the subject, and without what was its own. `key` is the name it stands under. */
  replace(value: Plain, key: string): Plain;
}

const plain = (key: string) => key.replaceAll('_', '').toLowerCase();

/** Members that say whom the rest of their object describes. */
const identities = new Set(['subject', 'subjectid', 'agentid', 'userid', 'id', 'participantid', 'sendersubject']);
/** What is said of whom an object describes. */
const personal = new Set(
  'displayname email phone phonenumber avatar avatarurl timezone availability notifications contact attributes ipaddress useragent'.split(
    ' ',
  ),
);
/** Members that say who wrote the rest of their object. */
const authors = new Set(['sendersubject', 'senderid', 'author', 'voter', 'approver', 'subject']);
const written = new Set(
  'text structureddata hashtags topic attachments aiprocessing message rationale comment'.split(' '),
);
/** Names of kinds stand here, never of subjects: a subject may be called like a kind. */
const vocabulary = new Set(
  `type kind status state role roles permission permissions action scope scopes level priority severity mode module source
   method capability capabilities phase category language outcome vote trigger operation domain environment purpose format
   subjecttype ownertype sendertype roletype version protocolversion name`.split(/\s+/),
);

/** A word of the language may mean the subject or not; what has digits or signs in it is nothing else. */
const isDistinctive = (subject: string) => /[^A-Za-z]/.test(subject);

function mentionsOf(subject: string): RegExp {
  const escaped = subject.replaceAll(/[.*+?^${}()|[\]\\-]/g, '\\$&');
  // A whole identifier: `mary-ann` and `ann@example.org` are others than `ann`, `ann.` at the end of a sentence is it.
  const before = isDistinctive(subject) ? '(?<![A-Za-z0-9_][.:@-]*)' : '(?<=(?<![A-Za-z0-9_.:@-])@)';
  return new RegExp(`${before}${escaped}(?![.:@-]*[A-Za-z0-9_])`, 'g');
}

/**
 * Puts a pseudonym in the place of a subject, in columns and in JSON alike: where it is the whole of a text or a key, and as
 * a word of its own within texts (a subject that is a mere word of letters only as `@ann`). Of an object that says that it
 * is about the subject, names, addresses and attributes are emptied, and of what it wrote the content where that is asked.
 */
export function createWords({ subject, pseudonym, content, structural = new Set() }: WordsOptions): Words {
  const mentions = mentionsOf(subject);
  const tag = new RegExp(`^([A-Z]\\w*:)${subject.replaceAll(/[.*+?^${}()|[\]\\-]/g, '\\$&')}(?=:|$)`);
  const distinctive = isDistinctive(subject);

  function text(value: string, key: string): string {
    if (value === subject) return distinctive || !vocabulary.has(plain(key)) ? pseudonym : value;
    if (!value.includes(subject)) return value;
    const named = plain(key) === 'tags' ? value.replace(tag, `$1${pseudonym}`) : value;
    return named.replace(mentions, pseudonym);
  }

  function members(object: { readonly [key: string]: Plain }): Plain {
    const entries = Object.entries(object);
    const isOf = (names: ReadonlySet<string>) =>
      entries.some(([key, value]) => value === subject && names.has(plain(key)));
    const described = isOf(identities);
    const redacted = content === 'redact' && isOf(authors);
    return Object.fromEntries(
      entries.map(([key, value]): [string, Plain] => {
        const bare = plain(key);
        const emptied = (described && personal.has(bare)) || (redacted && written.has(bare));
        const isStructure = !distinctive && (structural.has(key) || structural.has(bare) || vocabulary.has(bare));
        return [key === subject && !isStructure ? pseudonym : key, emptied ? empty(value, bare) : replace(value, key)];
      }),
    );
  }

  function replace(value: Plain, key: string): Plain {
    if (typeof value === 'string') return text(value, key);
    if (value === null || typeof value !== 'object') return value;
    if (Array.isArray(value)) return (value as readonly Plain[]).map((item) => replace(item, key));
    return isRaw(value) ? value : members(value as { readonly [key: string]: Plain });
  }

  return { replace };
}

function empty(value: Plain, key: string): Plain {
  // These have a form that an empty one does not have.
  if (key === 'timezone' || key === 'availability') return null;
  if (typeof value === 'string') return erasedText;
  if (Array.isArray(value)) return [];
  return typeof value === 'object' && value !== null && !isRaw(value) ? {} : value;
}

const JsonText = JSON as unknown as {
  parse(text: string, read: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): boolean;
};

const isRaw = (value: object): value is RawNumber => JsonText.isRawJSON(value);

/** Reads JSON so that each number is written again as it was. */
export function readPlain(text: string): Plain {
  return JsonText.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? JsonText.rawJSON(source) : value,
  ) as Plain;
}
