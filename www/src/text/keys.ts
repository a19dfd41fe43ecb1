/** What the keys do, for the sheet of keys. */
export const KEYS = [
  { keys: ['1', '2', '…', '9', '0'], what: 'the views, from Stack to Compare' },
  { keys: ['m'], what: 'the machine: what containerd makes of it' },
  { keys: ['[', ']'], what: 'the layer below, the layer above' },
  { keys: ['↑', '↓', '←', '→'], what: 'through paths; fold and unfold, or from sheet to sheet' },
  { keys: ['Home', 'End', 'PgUp', 'PgDn'], what: 'to the ends, by pages' },
  { keys: ['Enter'], what: 'fold or unfold; in a field, done' },
  { keys: ['F2'], what: 'rename or move, in Files' },
  { keys: ['Delete'], what: 'delete from the layer in hand; what is only below gets a whiteout' },
  { keys: ['t'], what: 'in Stack and Container: the sheets apart, or straight through' },
  { keys: [',', '.'], what: 'in Container and Machine: a step back, a step on' },
  { keys: ['p'], what: 'in Machine: play and pause' },
  { keys: ['/'], what: 'find: among the rows of Stack, else in all layers' },
  { keys: ['Ctrl-Z', 'Ctrl-Shift-Z'], what: 'undo, redo' },
  { keys: ['Esc'], what: 'take back what was typed, close' },
  { keys: ['?'], what: 'this sheet' },
];
