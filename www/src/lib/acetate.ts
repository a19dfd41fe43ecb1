/**
 * How sheets hang: fanned out, seen a little from the side. A row is one straight line through all of them, and as
 * tall on the farthest as on the nearest; only the sheets themselves grow towards the eye. Seen straight through
 * they lie on one another. Knows only sizes.
 */
export interface Hang {
  /** Of the room that there is, in pixels. */
  width: number;
  height: number;
  sheets: number;
  /** The sheet in hand, from the bottom: nothing hangs before it if that can be. */
  hand: number;
  /** As tall as its rows need it. */
  tallest: number;
}

/** A sheet's place: `matrix(across, slope, 0, 1, x, y)` on a box of `width` by `height`, what is on it `inset`
 *  from its upper and lower edge. */
export interface Sheet {
  x: number;
  y: number;
  width: number;
  height: number;
  across: number;
  slope: number;
  inset: number;
}

const NARROWEST = 230;
const WIDEST = 360;
const WIDEST_THROUGH = 860;
/** Seen from the side a sheet is so much narrower, and falls so much to the right. */
const ACROSS = 0.94;
const SLOPE = 0.055;
/** The nearest sheet is so much larger than the farthest, above and below, and a sheet than the one behind it. */
const GROWS = 24;
const STEP = 6;
const EDGE = 10;
/** Of every sheet at least so much is to be seen. */
const STRIP = 30;

/** How far each sheet hangs to the right of the first one. */
export function gaps(width: number, { sheets, hand }: Pick<Hang, 'sheets' | 'hand'>): number[] {
  const span = filmWidth(width, sheets) * ACROSS;
  const room = Math.max(0, width - 2 * EDGE - span);
  const between = sheets - 1;
  const even = between > 0 ? Math.min(span + EDGE, room / between) : 0;
  const free = hand < between ? Math.max(even, Math.min(span + EDGE, room - STRIP * (between - 1))) : even;
  const rest = between > 1 && free > even ? (room - free) / (between - 1) : even;
  let at = 0;
  return Array.from({ length: sheets }, (_, i) => {
    const here = at;
    at += i === hand ? free : rest;
    return here;
  });
}

function filmWidth(width: number, sheets: number): number {
  const even = (width - 2 * EDGE) / (1 + 0.9 * (sheets - 1)) / ACROSS;
  return Math.min(Math.max(even, Math.min(NARROWEST, width * 0.6)), WIDEST);
}

/** The places of the sheets that hang at `offsets`, the bottom one first; `apart` goes from 1 to 0, through. */
export function hang({ width, height, tallest }: Hang, offsets: number[], apart: number): Sheet[] {
  const film = filmWidth(width, offsets.length);
  const left = (width - (offsets.at(-1) ?? 0) - film * ACROSS) / 2;
  const through = Math.min(width, WIDEST_THROUGH);
  const mix = (a: number, b: number) => b + (a - b) * apart;
  const wide = mix(film, through);
  const step = Math.min(STEP, GROWS / Math.max(1, offsets.length - 1)) * apart;
  const most = step * (offsets.length - 1);
  const fall = SLOPE * apart * ((offsets.at(-1) ?? 0) * apart + wide);
  const room = height - fall - 2 * most;
  const tall = Math.min(tallest, room);
  const above = Math.min((room - tall) * 0.4, 120) * apart + most;
  return offsets.map((offset, i) => ({
    x: mix(left + offset, (width - through) / 2),
    y: above + SLOPE * apart * offset * apart - i * step,
    width: wide,
    height: tall + 2 * i * step,
    across: mix(ACROSS, 1),
    // What is seen at `x` is on the sheet at `x / across`: a row goes on from sheet to sheet.
    slope: SLOPE * apart * mix(ACROSS, 1),
    inset: i * step,
  }));
}

/** Where a point of what is on a sheet is seen. */
export function seen(sheet: Sheet, x: number, y: number): [number, number] {
  return [sheet.x + sheet.across * x, sheet.y + sheet.inset + sheet.slope * x + y];
}

/** How much of a sheet's row is free before a sheet nearer to the eye has something at it; in its own pixels. */
export function free(sheets: Sheet[], position: number, taken: (position: number) => boolean): number {
  const sheet = sheets[position]!;
  const next = sheets.findIndex((_, i) => i > position && taken(i));
  return next < 0 ? sheet.width : Math.min(sheet.width, (sheets[next]!.x - sheet.x) / sheet.across);
}

/** The row's height that is seen at a point: how far from the upper edge of what is on the sheets. */
export function depthAt(sheets: Sheet[], x: number, y: number): number {
  const { x: left, y: top, inset, slope, across } = sheets[0]!;
  return y - top - inset - (slope / across) * (x - left);
}
