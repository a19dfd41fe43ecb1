/** The views of the stage, in the order of their tabs and of the keys 1 to 9 and 0; the machine has m. */
import type { View } from '../../state/address';

export const TABS: readonly { view: View; name: string }[] = [
  { view: 'stack', name: 'Stack' },
  { view: 'container', name: 'Container' },
  { view: 'files', name: 'Files' },
  { view: 'merged', name: 'Merged' },
  { view: 'documents', name: 'Documents' },
  { view: 'history', name: 'History' },
  { view: 'bytes', name: 'Bytes' },
  { view: 'check', name: 'Check' },
  { view: 'changes', name: 'Changes' },
  { view: 'compare', name: 'Compare' },
  { view: 'machine', name: 'Machine' },
];
