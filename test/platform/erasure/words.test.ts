import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createWords, type Plain, readPlain } from '#shared/erasure/words.ts';

const pseudonym = 'erased-1';
const replace = (subject: string, value: Plain, key = 'note', content: 'keep' | 'redact' = 'redact') =>
  createWords({ subject, pseudonym, content }).replace(value, key);

describe('the pseudonym', () => {
  it('stands where the subject is a whole text, a key, a tag or a word of its own', () => {
    expect(replace('ann-7', 'ann-7')).toBe(pseudonym);
    expect(replace('ann-7', ['ann-7', { 'ann-7': 3, by: 'ann-7' }])).toEqual([
      pseudonym,
      { [pseudonym]: 3, by: pseudonym },
    ]);
    expect(replace('ann-7', ['Subject:ann-7', 'Subject:ann-7:roles'], 'tags')).toEqual([
      `Subject:${pseudonym}`,
      `Subject:${pseudonym}:roles`,
    ]);
    expect(replace('ann-7', 'hello @ann-7, and (ann-7). ann-7!')).toBe('hello @erased-1, and (erased-1). erased-1!');
  });

  it('is no other subject’s, however alike', () => {
    for (const other of [
      'mary-ann-7',
      'ann-77',
      'ann-7.smith',
      'ann-7@example.org',
      'bob@ann-7',
      'team:ann-7',
      'ann-7_x',
    ])
      expect(replace('ann-7', `to ${other} of ${other}.`), other).toBe(`to ${other} of ${other}.`);
  });

  it('leaves words alone that a subject is called like', () => {
    expect(replace('member', { role: 'member', type: 'member', subject: 'member', member: 1 })).toEqual({
      role: 'member',
      type: 'member',
      subject: pseudonym,
      [pseudonym]: 1,
    });
    expect(replace('boss', 'ask the boss, or @boss')).toBe(`ask the boss, or @${pseudonym}`);
    expect(replace('name', { name: 'name', kind: 'name' })).toEqual({ name: 'name', kind: 'name' });
  });

  it('comes without what was the subject’s own, and keeps everybody else’s', () => {
    const participant = (id: string) => ({ agentId: id, displayName: 'A', attributes: { a: 1 }, timezone: 'UTC' });
    expect(replace('ann-7', [participant('ann-7'), participant('bob')])).toEqual([
      { agentId: pseudonym, displayName: '[erased]', attributes: {}, timezone: null },
      participant('bob'),
    ]);
    const message = (sender: string) => ({ senderSubject: sender, text: 'hi ann-7', structuredData: { a: [1] } });
    expect(replace('ann-7', [message('ann-7'), message('bob')])).toEqual([
      { senderSubject: pseudonym, text: '[erased]', structuredData: {} },
      { ...message('bob'), text: `hi ${pseudonym}` },
    ]);
    expect(replace('ann-7', message('ann-7'), 'x', 'keep')).toEqual({
      ...message(pseudonym),
      text: `hi ${pseudonym}`,
    });
  });

  it('leaves numbers as they were written', () => {
    const text = '{"big":12345678901234567890,"small":1e-7,"by":"ann-7"}';
    expect(JSON.stringify(replace('ann-7', readPlain(text)))).toBe(text.replace('ann-7', pseudonym));
  });

  it('leaves what does not name the subject, and the subject nowhere in what does', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as Plain;
        expect(replace('zq-erase-7', plain)).toEqual(plain);
        const naming = JSON.parse(
          JSON.stringify({ value, list: [{ 'zq-erase-7': value }], who: 'zq-erase-7' }),
        ) as Plain;
        expect(JSON.stringify(replace('zq-erase-7', naming))).not.toContain('zq-erase-7');
      }),
    );
  });
});
