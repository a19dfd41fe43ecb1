/** Seconds and nanoseconds since 1970, written as `2025-01-01 00:00:00 UTC`, with a fraction when there is one. */
export interface Instant {
  seconds: number;
  nanos: number;
}

export function formatTime({ seconds, nanos }: Instant): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `${seconds} s after 1970`;
  const fraction = nanos ? `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}` : '';
  return `${date.toISOString().replace('T', ' ').replace('.000Z', '')}${fraction} UTC`;
}

/** Reads what `formatTime` writes, ISO 8601 in UTC, a date alone, or `@seconds`; null when it is none. */
export function parseTime(text: string): Instant | null {
  const trimmed = text.trim();
  const epoch = /^@(-?\d{1,15})(?:\.(\d{1,9}))?$/.exec(trimmed);
  if (epoch) return { seconds: Number(epoch[1]), nanos: nanosOf(epoch[2]) };
  const match = /^(-?\d{4,6}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(?:UTC|Z)?$/i.exec(
    trimmed,
  );
  if (!match) return null;
  const millis = Date.parse(`${match[1]}T${match[2] ?? '00:00'}:${match[3] ?? '00'}Z`);
  return Number.isNaN(millis) ? null : { seconds: millis / 1000, nanos: nanosOf(match[4]) };
}

export function now(): Instant {
  const millis = Date.now();
  return { seconds: Math.floor(millis / 1000), nanos: 0 };
}

function nanosOf(digits: string | undefined): number {
  return digits ? Number(digits.padEnd(9, '0')) : 0;
}
