export interface Heard {
  readonly status: number;
  readonly text: string;
}

/** A busy machine may take so long to begin a stream, ms. */
const beginMs = 20_000;

/** Subscribes over server-sent events and answers all that came within the time of the stream, or until `enough` is in it. */
export async function listen(
  url: string,
  token: string,
  request: { readonly query: string; readonly variables: Readonly<Record<string, unknown>> },
  forMs: number,
  enough?: string,
): Promise<Heard> {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), beginMs);
  let [status, text] = [0, ''];
  try {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${token}` },
      body: JSON.stringify(request),
      signal: abort.signal,
    });
    status = response.status;
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), forMs);
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (enough !== undefined && text.includes(enough)) abort.abort();
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return { status, text };
}
