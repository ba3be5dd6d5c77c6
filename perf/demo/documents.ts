/** Everything the demo asks of the graph. */

const failures = 'userErrors { code message path retryable retryAfterMs }';

export const createContext = `mutation DemoContext($input: CreateContextInput!) {
  createContext(input: $input) { context { id } ${failures} }
}`;

export const createDialog = `mutation DemoDialog($input: CreateDialogInput!) {
  createDialog(input: $input) { dialog { id } ${failures} }
}`;

export const joinDialog = `mutation DemoJoin($dialogId: ID!) {
  joinDialog(dialogId: $dialogId) { participant { status } ${failures} }
}`;

export const dialogCursor = 'query DemoCursor($id: ID!) { dialog(id: $id) { cursor lastSequence } }';

export const sendMessage = `mutation DemoSend($input: SendMessageInput!) {
  sendMessage(input: $input) { duplicate message { sequence } ${failures} }
}`;

const messageFields = 'sequence clientMessageId senderSubject topic content { text }';

export const history = `query DemoHistory($dialogId: ID!, $after: String) {
  dialogMessages(dialogId: $dialogId, first: 100, after: $after) {
    nodes { ${messageFields} }
    pageInfo { hasNextPage endCursor }
  }
}`;

export const messageReceived = `subscription DemoMessages($dialogId: ID!, $after: String) {
  messageReceived(dialogId: $dialogId, after: $after) { cursor kind timestamp message { ${messageFields} } }
}`;
