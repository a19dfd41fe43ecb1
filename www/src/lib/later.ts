/** Loads a part of the page once: when it is first asked for, or when the page has been idle for a while. */
export function later<T>(load: () => Promise<T>, idle = 1500): () => Promise<T> {
  let promise: Promise<T> | null = null;
  const once = () => (promise ??= load());
  if (typeof window !== 'undefined') setTimeout(() => void once().catch(() => (promise = null)), idle);
  return once;
}
