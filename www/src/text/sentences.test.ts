/** Sentences in pieces. */
import { expect, it } from 'vitest';
import { pieces } from './sentences';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const find = (beginning: string) => (DIGEST.startsWith(beginning) ? DIGEST : null);

it('finds digests, paths and options', () => {
  expect(pieces('sha256:0123456789ab…: an overlay: lowerdir=/a/1/fs,workdir=/a/2', find)).toEqual([
    { digest: DIGEST, text: '0123456789ab' },
    { text: ': an overlay: ' },
    { code: 'lowerdir=/a/1/fs,workdir=/a/2' },
  ]);
  expect(
    pieces('labelled containerd.io/gc.ref.content.l.0, so. Then sha256:ffffffffffff… goes.', find),
  ).toEqual([
    { text: 'labelled ' },
    { code: 'containerd.io/gc.ref.content.l.0' },
    { text: ', so. Then ' },
    { text: 'sha256:ffffffffffff…' },
    { text: ' goes.' },
  ]);
  expect(pieces(`the bytes of blobs/sha256/${DIGEST.slice(7)} are`, find)).toEqual([
    { text: 'the bytes of ' },
    { code: 'blobs/sha256/0123456789ab…' },
    { text: ' are' },
  ]);
  expect(pieces('docker.io/library/a:1 names it.', find)).toEqual([
    { text: 'docker.io/library/a:1 names it.' },
  ]);
  expect(pieces('Nothing of that.', find)).toEqual([{ text: 'Nothing of that.' }]);
});
