/** What each document of an image is for, in two sentences. */
import type { DocumentName } from '../core/protocol';

export const DOCUMENT_TEXTS: Record<DocumentName, string> = {
  index: 'The door of the archive. It names the manifest by digest and says what the image is called.',
  manifest:
    'What a registry keeps under a name: the config and the blobs of the layers, each by digest and size. This digest is what you pin.',
  config:
    'How to run it and what it is made of: the DiffIDs, bottom first. Its digest is the image ID. No blob is named here, so compression leaves it alone.',
  'oci-layout': 'The marker that says: this directory is an OCI image layout, of this version.',
  'manifest.json':
    'For docker load, which came before the OCI. The same config and layers by file name; nothing else reads it.',
};
