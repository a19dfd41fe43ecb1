/** Loads a part of the page once, when it is first asked for. A load that failed, as without a network, is
 *  tried again when it is asked for again. */
export function later<T>(load: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | null = null;
  return () =>
    (promise ??= load().catch((error: unknown) => {
      promise = null;
      throw error;
    }));
}
