import { codeRanges } from '../text/codeRanges.ts';
import type { ContentFilter, FilterReason } from './contentFilter.ts';

const hiddenTags = /[\u{E0000}-\u{E007F}]/gu;
// Flags of England, Scotland and Wales are a black flag followed by tag characters.
const flagSequence = /\u{1F3F4}[\u{E0020}-\u{E007E}]{2,8}\u{E007F}/gu;
const zeroWidth = /[\u200B\u2060\u2062-\u2064\uFEFF]/g;
const maxZeroWidth = 20;
const overrides = /[\u202A-\u202E\u2066-\u2069]/;
const markFlood = /\p{M}{12}/u;
const activeContent =
  /<(?:script|iframe|object|embed|svg|img|body|video|audio|form)\b[^<>]{0,300}?(?:\son[a-z]{3,20}\s{0,5}=|\ssrcdoc\s{0,5}=)|<script[\s>/]|<iframe[\s>/]/i;
const dangerousLink =
  /\]\(\s{0,5}(?:javascript|vbscript|data:text\/html)[:;,]|\bhref\s{0,5}=\s{0,5}["']?\s{0,5}(?:javascript|vbscript):/i;

/**
 * What can deceive a reader, a renderer or a model, few and precise:
 * - HIDDEN_TEXT (reject): Unicode tag characters, which show nothing and can carry instructions to a model, and more
 *   than 20 other zero-width characters (joiners of scripts and emoji are free);
 * - BIDI_OVERRIDE (reject): an embedding, override or isolate left open at the end of its line, which reorders what
 *   follows it (Boucher & Anderson 2021, "Trojan Source");
 * - COMBINING_MARK_FLOOD (reject): twelve combining marks on one letter;
 * - DANGEROUS_LINK (reject) and ACTIVE_CONTENT (flag): script in links and markup outside code. Agents discuss markup,
 *   so the latter only reports; clients must escape what they show in any case.
 */
export function createMaliciousFilter(): ContentFilter {
  return {
    name: 'malicious',
    check: ({ text }) => {
      const reasons: FilterReason[] = [];
      const add = (code: FilterReason['code'], action: FilterReason['action'], detail: string): void => {
        reasons.push({ filter: 'malicious', code, action, detail });
      };
      if (/[\u0250-\uFFFF]/.test(text)) {
        const hidden = countHidden(text);
        if (hidden !== null) add('HIDDEN_TEXT', 'REJECT', hidden);
        if (overrides.test(text) && text.split('\n').some(leavesDirectionOpen)) {
          add('BIDI_OVERRIDE', 'REJECT', 'A direction override is open at the end of its line.');
        }
        if (markFlood.test(text)) add('COMBINING_MARK_FLOOD', 'REJECT', 'Twelve or more combining marks in a row.');
      }
      if (text.includes('<') || text.includes('](') || text.includes('=')) {
        const outside = blankCode(text);
        if (dangerousLink.test(outside)) add('DANGEROUS_LINK', 'REJECT', 'A link that runs script.');
        if (activeContent.test(outside)) add('ACTIVE_CONTENT', 'FLAG', 'Markup that runs script, outside code.');
      }
      return reasons;
    },
  };
}

function countHidden(text: string): string | null {
  const tags = text.replace(flagSequence, '').match(hiddenTags)?.length ?? 0;
  if (tags > 0) return `${tags} invisible tag characters.`;
  // A byte order mark at the very beginning is an accident of files.
  const invisible = (text.startsWith('\uFEFF') ? text.slice(1) : text).match(zeroWidth)?.length ?? 0;
  return invisible > maxZeroWidth ? `${invisible} zero-width characters; at most ${maxZeroWidth}.` : null;
}

function leavesDirectionOpen(line: string): boolean {
  if (!overrides.test(line)) return false;
  let embeddings = 0;
  let isolates = 0;
  for (const character of line) {
    const code = character.charCodeAt(0);
    if (code === 0x202c) embeddings = Math.max(0, embeddings - 1);
    else if (code >= 0x202a && code <= 0x202e) embeddings++;
    else if (code === 0x2069) isolates = Math.max(0, isolates - 1);
    else if (code >= 0x2066 && code <= 0x2068) isolates++;
  }
  return embeddings + isolates > 0;
}

function blankCode(text: string): string {
  let outside = '';
  let start = 0;
  for (const range of codeRanges(text)) {
    outside += `${text.slice(start, range.start)} `;
    start = range.end;
  }
  return outside + text.slice(start);
}
