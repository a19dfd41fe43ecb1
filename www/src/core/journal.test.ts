/** The page's copy of the journal says at any time what a new core must be told. */
import { expect, it } from 'vitest';
import type { Operation } from './protocol';
import { Journal } from './journal';

const operation = (name: string): Operation => ({
  time: { seconds: 0, nanos: 0 },
  caller: { uid: 0, gid: 0, umask: 0o022 },
  action: { op: 'set_name', image: 1, name },
});
const [a, b, c] = ['a', 'b', 'c'].map(operation) as [Operation, Operation, Operation];

it('follows undo and redo', () => {
  const journal = new Journal();
  [a, b, c].forEach((one) => journal.applied(one));
  journal.undid();
  journal.undid();
  expect(journal.replay()).toMatchObject({ done: [a], undone: [b, c] });
  journal.redid();
  expect(journal.replay()).toMatchObject({ done: [a, b], undone: [c] });
  journal.applied(a);
  expect(journal.replay()).toMatchObject({ done: [a, b, a], undone: [] });
});

it('gives up the newest operation, and with it what was undone', () => {
  const journal = new Journal();
  [a, b, c].forEach((one) => journal.applied(one));
  journal.undid();
  expect(journal.dropLast()).toBe(b);
  expect(journal.replay()).toMatchObject({ done: [a], undone: [] });
  expect([journal.dropLast(), journal.dropLast()]).toEqual([a, undefined]);
});

it('keeps opened files under ids that are never used twice', () => {
  const journal = new Journal();
  const files = [new File(['x'], 'x'), new File(['y'], 'y')];
  const ids = files.map((file) => journal.addSource(file));
  journal.clear();
  expect(new Set(ids).size).toBe(2);
  expect(journal.replay().sources).toEqual(ids.map((id, i) => [id, files[i]]));
});

it('takes what another one has in place of what was done, and keeps the files', () => {
  const [journal, other] = [new Journal(), new Journal()];
  const files = [new File(['x'], 'x'), new File(['y'], 'y')] as const;
  journal.applied(c);
  journal.keepSource(7, files[0]);
  other.keepSource(3, files[1]);
  [a, b].forEach((one) => other.applied(one));
  other.undid();
  journal.take(other.replay());
  const sources = [
    [7, files[0]],
    [3, files[1]],
  ];
  expect(journal.replay()).toEqual({ sources, done: [a], undone: [b] });
  // What is done from now on is its own.
  journal.redid();
  expect(other.replay()).toMatchObject({ done: [a], undone: [b] });
});
