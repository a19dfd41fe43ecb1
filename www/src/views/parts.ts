/**
 * The parts of the page that are not needed at first paint: fetched when they are first asked for, or one
 * after the other when the page has come to rest, so that a first look at them does not wait.
 */
import { later } from '../lib/later';

export const parts = {
  runsAs: later(() => import('./layers/RunsAs.svelte')),
  layerSettings: later(() => import('./layers/LayerSettings.svelte')),
  archiveCard: later(() => import('./layers/ArchiveCard.svelte')),
  layerMenu: later(() => import('./layers/layer-menu')),
  layerReading: later(() => import('./layers/LayerReading.svelte')),
  stack: later(() => import('./stage/StackView.svelte')),
  container: later(() => import('./container/ContainerView.svelte')),
  containerDock: later(() => import('./container/Dock.svelte')),
  containerCards: later(() => import('./container/ContainerCards.svelte')),
  containerPath: later(() => import('./container/ContainerPath.svelte')),
  startMenu: later(() => import('./container/StartMenu.svelte')),
  files: later(() => import('./files/FilesView.svelte')),
  sheetTable: later(() => import('./stage/SheetTable.svelte')),
  documents: later(() => import('./documents/DocumentsView.svelte')),
  history: later(() => import('./history/HistoryView.svelte')),
  bytes: later(() => import('./bytes/BytesView.svelte')),
  check: later(() => import('./check/CheckView.svelte')),
  compare: later(() => import('./compare/CompareView.svelte')),
  machine: later(() => import('./machine/MachineView.svelte')),
  machineDock: later(() => import('./machine/MachineDock.svelte')),
  changes: later(() => import('./changes/ChangesView.svelte')),
  hex: later(() => import('./inspector/HexView.svelte')),
  modeBoxes: later(() => import('./inspector/ModeBoxes.svelte')),
  xattrs: later(() => import('./inspector/Xattrs.svelte')),
  download: later(() => import('./download/DownloadSheet.svelte')),
  imageMenu: later(() => import('./shell/ImageMenu.svelte')),
  incoming: later(() => import('./shell/Incoming.svelte')),
  keys: later(() => import('./shell/KeySheet.svelte')),
  crash: later(() => import('./shell/CrashDialog.svelte')),
  opening: later(() => import('../state/opening.svelte')),
};

/** Fetches what is not here yet, one after the other. */
export async function fetchAll(): Promise<void> {
  for (const part of Object.values(parts)) await part().catch(() => null);
}
