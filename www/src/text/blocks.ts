/** The kinds of blocks of a tar, and what they are for. */
import type { BlockKind } from '../core/protocol';

export const BLOCKS: Record<BlockKind, { name: string; says: string }> = {
  header: { name: 'header', says: 'The header of an entry: name, mode, owner, time, size, a checksum.' },
  long_name: { name: 'long name', says: 'GNU’s way to hold a name or target of more than 100 bytes.' },
  pax_header: { name: 'pax header', says: 'The header in front of pax records.' },
  pax_records: {
    name: 'pax records',
    says: 'Records that overrule fields of the next header: long names, fractions of seconds, xattrs.',
  },
  global_header: {
    name: 'global header',
    says: 'Pax records for every entry after it. Not all readers obey.',
  },
  sparse_map: { name: 'sparse map', says: 'Where the data of a file with holes belongs.' },
  data: { name: 'data', says: 'The contents of a file. What is left of the last block is padding.' },
  end: { name: 'end', says: 'Two blocks of zeros, and what fills the last record.' },
  trailing: { name: 'after the end', says: 'Bytes that stand after the end. Most readers never see them.' },
};
