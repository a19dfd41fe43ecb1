/** What an opened file was found to be. */
import type { ArchiveView } from '../core/protocol';

export const FORMATS: Record<ArchiveView['format'], string> = {
  oci: 'an OCI image layout',
  docker: 'a docker archive',
  'oci+docker': 'an OCI layout and docker archive in one',
  dir: 'a directory as skopeo writes it',
  layer: 'one layer',
};
