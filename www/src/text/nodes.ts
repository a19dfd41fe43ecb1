/** What the graph's nodes are, and what their states mean. */
import type { GraphNode } from '../core/protocol';

export const KINDS: Record<GraphNode['kind'], string> = {
  index: 'index',
  docker_manifest: 'manifest.json',
  manifest: 'manifest',
  config: 'config',
  layer: 'layer',
  attestation: 'attestation',
  other: 'other',
};

export const KIND_TEXTS: Record<GraphNode['kind'], string> = {
  index:
    'A list of manifests, each by digest: one for every platform, with names. index.json is the door of the archive.',
  docker_manifest:
    'For docker load, which came before the OCI: config and layers by file name. Nothing else reads it.',
  manifest:
    'What a registry keeps under a name: the config and the blobs of the layers, each by digest and size. This digest is what you pin.',
  config:
    'How to run it and what it is made of: the DiffIDs, bottom first. Its digest is the image ID. No blob is named here, so compression leaves it alone.',
  layer:
    'The tar of one layer as it is stored, mostly compressed. Its digest is of these bytes, its DiffID of the tar.',
  attestation:
    'Says how an image was built, or what is in it. Builders add it to the index as a manifest for the platform unknown/unknown; runtimes pass over it.',
  other: 'Something that the specification does not speak of. It is kept as it came.',
};

export const STATES: Record<GraphNode['state'], { mark: string; word: string; says: string }> = {
  verified: { mark: '✓', word: 'verified', says: 'Its bytes hash to this digest.' },
  mismatch: {
    mark: '✗',
    word: 'wrong digest',
    says: 'Its bytes hash to another digest than the one it is named by.',
  },
  unverified: { mark: '…', word: 'not hashed yet', says: 'Its bytes have not been hashed yet.' },
  uncomputed: {
    mark: '?',
    word: 'not verified',
    says: 'It is named by a digest that handroll does not compute: it computes SHA-256.',
  },
  missing: { mark: '∅', word: 'missing', says: 'It is named, but it is not in the archive.' },
  foreign: {
    mark: '↗',
    word: 'elsewhere',
    says: 'It is not in the archive by intent: it is to be had from where its descriptor says.',
  },
};
