import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { detectLanguage } from '../../../subgraphs/dialog/analysis/index.ts';
import { readDocument } from '../../../subgraphs/dialog/analysis/text/document.ts';
import { maskNonProse } from '../../../subgraphs/dialog/analysis/text/prose.ts';
import { splitSentences } from '../../../subgraphs/dialog/analysis/text/sentences.ts';

function sentencesOf(text: string): string[] {
  return splitSentences(text).map(({ start, end }) => text.slice(start, end));
}

describe('sentences', () => {
  test.each([
    ['One. Two! Three? Four', ['One.', 'Two!', 'Three?', 'Four']],
    ['Dr. Smith paid 3.50 Euro, e.g. for tea. He left.', ['Dr. Smith paid 3.50 Euro, e.g. for tea.', 'He left.']],
    ['See J. R. Tolkien. Fine.', ['See J. R. Tolkien.', 'Fine.']],
    ['- first point\n- second point', ['first point', 'second point']],
    ['1. Fetch it.\n2. Read it.', ['Fetch it.', 'Read it.']],
    ['# Heading\nText goes\non here.', ['Heading', 'Text goes\non here.']],
    ['He said "stop." Then he went.', ['He said "stop."', 'Then he went.']],
    ['これは文です。次の文。', ['これは文です。', '次の文。']],
    ['Really?! Yes...', ['Really?!', 'Yes...']],
    ['', []],
    [' \n\n ', []],
  ])('%j', (text, expected) => {
    expect(sentencesOf(text)).toEqual(expected);
  });

  test('are disjoint, ascending, trimmed and hold every letter outside list numbers', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('a', 'B', '.', '!', '?', ' ', '\n', '-', '1', ')', '"', '漢', '。'),
          maxLength: 80,
        }),
        (text) => {
          let last = 0;
          let letters = '';
          for (const { start, end } of splitSentences(text)) {
            expect(start).toBeGreaterThanOrEqual(last);
            expect(end).toBeGreaterThan(start);
            expect(text.slice(start, end)).toBe(text.slice(start, end).trim());
            letters += text.slice(start, end);
            last = end;
          }
          expect(letters.replace(/[^aB漢]/g, '')).toBe(text.replace(/[^aB漢]/g, ''));
        },
      ),
    );
  });

  test('a run without an end is cut', () => {
    const longest = Math.max(...splitSentences('word '.repeat(2_000)).map(({ start, end }) => end - start));
    expect(longest).toBeLessThanOrEqual(1_100);
  });
});

describe('prose', () => {
  test.each([
    ['before\n```js\nconst secret = 1;\n```\nafter', ['before', 'after']],
    ['~~~\nx\n~~~\nShown', ['Shown']],
    [
      'It crashed.\nTraceback (most recent call last):\n  File "a.py", line 3, in run\n    go()\nValueError: no header',
      ['It crashed.', 'ValueError: no header'],
    ],
    ['It crashed.\n    at parse (index.js:12:3)\n    at run (index.js:9:1)\nSorry.', ['It crashed.', 'Sorry.']],
    ['| a | b |\n| --- | --- |\nThe table is above.', ['The table is above.']],
    ['def run(x):\n    return x\nThat was Python.', ['That was Python.']],
    ['{"a": 1, "b": [2, 3, 4]}\nThat was data.', ['That was data.']],
    ['See https://example.org/a?b=c now.', ['See now.']],
  ])('%j', (text, expected) => {
    const words = splitSentences(maskNonProse(text)).map(({ start, end }) =>
      maskNonProse(text).slice(start, end).replace(/\s+/g, ' '),
    );
    expect(words).toEqual(expected);
  });

  test('keeps length, line breaks and every character that it does not blank', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '```',
        '`',
        '~~~',
        '\n',
        'Traceback (most recent call last):',
        '  at x (y:1)',
        '| a |',
        'https://a.b/c',
        '<b>',
        'Some words here.',
        '{',
        ';',
      ),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const text = pieces.join('');
        const masked = maskNonProse(text);
        expect(masked).toHaveLength(text.length);
        for (let index = 0; index < text.length; index++) {
          if (masked[index] !== ' ') expect(masked[index]).toBe(text[index]);
          if (text[index] === '\n') expect(masked[index]).toBe('\n');
        }
      }),
    );
  });
});

test('of a text that is too long its beginning and its end are read', () => {
  const text = `The beginning is here. ${'Filler stands between them. '.repeat(2_000)}The conclusion comes last.`;
  const document = readDocument(text, 4_000);
  expect(document.truncated).toBe(true);
  expect(document.sentences[0]?.text).toBe('The beginning is here.');
  expect(document.sentences.at(-1)?.text).toBe('The conclusion comes last.');
  expect(document.prose.length).toBeLessThanOrEqual(4_002);
});

describe('language', () => {
  test.each([
    ['en', 'The parser reads the header and then it fails, because the file is not in the format that we expect.'],
    ['de', 'Der Parser liest die Kopfzeile und scheitert, weil die Datei nicht in dem Format ist, das wir erwarten.'],
    [
      'fr',
      "L'analyseur lit la ligne et il échoue, parce que le fichier est dans un format que nous ne connaissons pas.",
    ],
    ['es', 'El analizador lee la cabecera y falla porque el archivo no está en el formato que esperamos.'],
    ['it', 'Il programma legge la riga e poi non funziona, perché il file non è nel formato che ci aspettiamo.'],
    ['pt', 'O programa lê a linha e falha porque o arquivo não está no formato que nós esperamos dos clientes.'],
    ['nl', 'De parser leest de kop en het gaat mis, omdat het bestand niet in het formaat is dat wij verwachten.'],
    ['ja', 'このファイルは形式が正しくないので読めません。'],
    ['zh', '这个文件的格式不正确，所以无法读取。'],
    ['ko', '파일 형식이 올바르지 않아서 읽을 수 없습니다.'],
    ['el', 'Το αρχείο δεν έχει τη σωστή μορφή.'],
    ['und', 'Файл имеет неверный формат.'],
    ['und', '12345 67890'],
    ['und', 'ok'],
  ])('%s: %s', (code, text) => {
    expect(detectLanguage(text).code).toBe(code);
  });
});
