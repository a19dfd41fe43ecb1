/** The small things: sizes, names as bytes, modes, times, hashes, JSON tokens, hex. */
import { describe, expect, it } from 'vitest';
import { formatSize } from './bytes';
import { toBase64 } from './base64';
import { bytesOf, byteText, typedLines, typedText } from './byte-text';
import { changesInWords } from './changes';
import { barHeights, shortDigest } from './digest';
import { looksExecutable, markOf } from './drop';
import { formatHash, parseHash } from './hash-params';
import { asText, hexLines } from './hex';
import { prettyLines, tokenize } from './json-tokens';
import { letter } from './letters';
import { octal, parseOctal, rwx } from './mode';
import { absolute, join, nameOf, parentOf } from './path';
import { formatTime, parseTime } from './time';
import { joinWords, splitWords } from './words';

describe('sizes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [1_030_000, '1.03 MB'],
    [999_999, '1.00 MB'],
    [12_345_678_901, '12.3 GB'],
  ])('%i is %s', (bytes, text) => expect(formatSize(bytes)).toBe(text));
});

describe('names as bytes', () => {
  it('escapes what is not plain, and gives it back', () => {
    expect(byteText('a\\b')).toBe('a\\\\b');
    expect(byteText('a\nb\u007f')).toBe('a\\x0ab\\x7f');
    expect(typedText(byteText('a\\b'))).toBe('a\\b');
    expect(typedLines(byteText('a\\x0a\nb\\'))).toBe('a\\x0a\nb\\');
    expect([...bytesOf('é\\\\\\xff')]).toEqual([0xc3, 0xa9, 0x5c, 0xff]);
  });
});

describe('modes', () => {
  it('reads and writes octal', () => {
    expect(octal(0o644)).toBe('0644');
    expect(parseOctal('755')).toBe(0o755);
    expect(parseOctal('0o4755')).toBe(0o4755);
    expect(parseOctal('888')).toBeNull();
    expect(parseOctal('17777')).toBeNull();
  });
  it('shows setuid, setgid and sticky', () => {
    expect(rwx(0o644)).toBe('-rw-r--r--');
    expect(rwx(0o7755, 'directory')).toBe('drwsr-sr-t');
    expect(rwx(0o7644)).toBe('-rwSr-Sr-T');
  });
});

describe('times', () => {
  it('reads what it writes', () => {
    for (const time of [
      { seconds: 1735689600, nanos: 0 },
      { seconds: -1, nanos: 500_000_000 },
      { seconds: 0, nanos: 1 },
    ]) {
      expect(parseTime(formatTime(time))).toEqual(time);
    }
    expect(formatTime({ seconds: 1735689600, nanos: 0 })).toBe('2025-01-01 00:00:00 UTC');
  });
  it('takes dates and seconds, and nothing else', () => {
    expect(parseTime('2025-01-01')).toEqual({ seconds: 1735689600, nanos: 0 });
    expect(parseTime('@5.25')).toEqual({ seconds: 5, nanos: 250_000_000 });
    expect(parseTime('yesterday')).toBeNull();
    expect(parseTime('2025-13-01')).toBeNull();
  });
});

it('names layers from the bottom', () => expect([0, 25, 26, 27].map(letter)).toEqual(['A', 'Z', 'AA', 'AB']));

it('takes paths apart', () => {
  expect([parentOf('/a/b'), parentOf('/a'), nameOf('/a/b'), join('/', 'a'), absolute('a/b/')]).toEqual([
    '/a',
    '/',
    'b',
    '/a',
    '/a/b',
  ]);
});

it('draws the same stamp for the same digest', () => {
  expect(shortDigest('sha256:0f0f0f0f99')).toBe('0f0f0f0f');
  expect(barHeights('sha256:0f0f0f0f99').slice(0, 2)).toEqual([2, 12]);
});

it('keeps a view and its parameters in the hash', () => {
  const state = { view: 'files', params: { layer: '2', path: '/a b/c&d' } };
  expect(parseHash(formatHash(state))).toEqual(state);
  expect(formatHash(state)).toBe('#files?layer=2&path=/a%20b/c%26d');
});

describe('JSON', () => {
  const text = '{"a":[1,-2.5e3,{}],"b":"x\\"y","c":null,"d":[]}\n';
  it('loses no byte', () =>
    expect(
      tokenize(text)
        .map((token) => token.text)
        .join(''),
    ).toBe(text));
  it('tells keys from strings', () => {
    expect(
      tokenize(text)
        .filter((token) => token.type === 'key')
        .map((token) => token.text),
    ).toEqual(['"a"', '"b"', '"c"', '"d"']);
  });
  it('lays out as JSON.stringify does, but for empty objects', () => {
    const shown = prettyLines(tokenize(text))
      .map((line) => ' '.repeat(line.indent * 2) + line.tokens.map((token) => token.text).join(''))
      .join('\n');
    expect(JSON.parse(shown)).toEqual(JSON.parse(text));
    expect(shown).toContain('\n    -2.5e3,\n');
    expect(shown).toContain('"d": []');
  });
  it('knows where every value stands', () => {
    const tokens = tokenize('{"a/b": [1, {"c~": "x"}, []], "d": null}');
    const at = (text: string) => tokens.find((token) => token.text === text)?.pointer;
    expect(at('1')).toBe('/a~1b/0');
    expect(at('"x"')).toBe('/a~1b/1/c~0');
    expect(at('"c~"')).toBe('/a~1b/1/c~0');
    expect(at('null')).toBe('/d');
    expect(tokens.at(0)?.pointer).toBe('');
  });
  it('shows what it can of what is cut off', () => {
    const tokens = tokenize('{"a": 1, "b": "cut');
    expect(tokens.map((token) => token.text).join('')).toBe('{"a": 1, "b": "cut');
    expect(tokens.at(-1)?.type).toBe('word');
    expect(tokenize('no json at all')).toHaveLength(1);
  });
});

it('writes base64', () => {
  const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => i % 256);
  expect(Buffer.from(toBase64(bytes), 'base64').equals(Buffer.from(bytes))).toBe(true);
});

describe('bytes', () => {
  it('shows eight on a line', () => {
    const lines = hexLines(new Uint8Array([0x7f, 0x45, ...new Array(7).fill(0x41)]), 0x10);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toEqual({
      offset: '00000010',
      pairs: '7f 45' + ' 41'.repeat(6),
      text: '·E' + 'A'.repeat(6),
    });
    expect(lines[1]!.offset).toBe('00000018');
  });
  it('knows text from the rest', () => {
    const encode = (text: string) => new TextEncoder().encode(text);
    expect(asText(encode('hello\n\tthere é'))).toBe('hello\n\tthere é');
    expect(asText(encode('a\0b'))).toBeNull();
    expect(asText(new Uint8Array([0xff, 0xfe]))).toBeNull();
    expect(asText(new Uint8Array())).toBe('');
  });
});

describe('command lines', () => {
  it.each([[['/bin/sh', '-c', 'echo "a b"; ls']], [["it's", '', 'back\\slash', 'new\nline']], [[]]])(
    '%j survives',
    (words) => expect(splitWords(joinWords(words))).toEqual(words),
  );
  it('takes both quotes', () =>
    expect(splitWords(`a 'b c' "d \\"e" f\\ g`)).toEqual(['a', 'b c', 'd "e', 'f g']));
});

describe('what is dropped', () => {
  it.each([
    ['delta/data/.wh.config.txt', { whiteout: 'delta/data/config.txt' }],
    ['.wh.a', { whiteout: 'a' }],
    ['delta/.wh..wh..opq', { opaque: 'delta' }],
    ['.wh..wh..opq', { opaque: '' }],
    ['.wh..wh.plnk', null],
    ['.wh.', null],
    ['.wh.dir/a', null],
    ['plain', null],
  ])('%s as a mark', (path, mark) => expect(markOf(path)).toEqual(mark));
  it('is meant to be run', () => {
    expect(looksExecutable(new Uint8Array([0x7f, 0x45, 0x4c, 0x46]))).toBe(true);
    expect(looksExecutable(new TextEncoder().encode('#!/bin/sh'))).toBe(true);
    expect(looksExecutable(new TextEncoder().encode('ELF'))).toBe(false);
    expect(looksExecutable(new Uint8Array())).toBe(false);
  });
});

describe('changes in words', () => {
  it.each([
    [[], ''],
    [['content', 'mode'], 'other content, mode'],
    [['content_unread'], 'perhaps other content'],
    [['time', 'content_unread'], 'other time, perhaps other content'],
  ])('%j', (changed, words) => expect(changesInWords(changed)).toBe(words));
});
