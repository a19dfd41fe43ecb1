/** Runs the last of several calls after a pause; `flush` runs it at once. */
export interface Debounced<A extends unknown[]> {
  (...args: A): void;
  flush(): void;
  /** Is a call waiting for its pause to end? */
  pending(): boolean;
}

export function debounce<A extends unknown[]>(run: (...args: A) => void, pause: number): Debounced<A> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last: A | null = null;
  const flush = () => {
    clearTimeout(timer);
    const args = last;
    last = null;
    if (args) run(...args);
  };
  const call = (...args: A) => {
    last = args;
    clearTimeout(timer);
    timer = setTimeout(flush, pause);
  };
  return Object.assign(call, { flush, pending: () => last !== null });
}
