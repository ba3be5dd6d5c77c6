const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\u0001': '<b>',
  '\u0002': '</b>',
  '\u0003': '&lt;',
  '\u0004': '&gt;',
};

/** Makes HTML of a headline: its marks become `<b>`, everything else is text. */
export function toHtml(headline: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: marks that cannot stand in the text itself
  return headline.replace(/[&<>"\u0001-\u0004]/g, (character) => escapes[character]!);
}
