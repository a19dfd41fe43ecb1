/** Every event of the machine has its reason. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { chapterOf, whyOf } from './machine-why';

test('every rule of the store says why, and which chapter it belongs to', () => {
  const page = readFileSync(new URL('../../../docs/store.md', import.meta.url), 'utf8');
  const rules = [...page.matchAll(/^\| `([a-z_]+\.[a-z_]+)` \|/gm)].map(([, rule]) => rule!);
  expect(rules.length).toBeGreaterThan(25);
  expect(rules.filter((rule) => whyOf(rule) === null)).toEqual([]);
  expect(rules.filter((rule) => chapterOf(rule) === 'labels')).toEqual(['label.set', 'label.removed']);
});
