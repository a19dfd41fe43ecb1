/** The order in which a change travels through the digests, and what to say at each stop. */
export const STEPS = [
  'A layer is a tar. Any other byte in it, even a time, gives another DiffID: the sha256 of the uncompressed tar.',
  'The blob is the tar as it is stored, mostly compressed. The registry keeps it under this digest.',
  'The config lists the DiffIDs. Its digest is the image ID. Compression does not touch it.',
  'The manifest lists the config and the blobs, with their sizes. This is the digest that you pin: name@sha256:…',
  'The index names the manifest. It is the door of the archive; nothing stands on its digest.',
];

export function keyStep(key: string): number {
  if (key.startsWith('diff:')) return 0;
  if (key.startsWith('blob:')) return 1;
  return ['config', 'manifest', 'index'].indexOf(key) + 2;
}
