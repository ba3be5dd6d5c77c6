import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, errorTable, PlatformError, toExtensions } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { correlationHeader, givenCorrelation } from './correlation.ts';

const fastifyCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_JSON_BODY: 'BAD_REQUEST',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'BAD_REQUEST',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'BAD_REQUEST',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'BAD_REQUEST',
};

/** What the HTTP framework threw, as a row of the error table. */
export function toPlatformError(error: unknown): PlatformError {
  if (error instanceof PlatformError) return error;
  const code =
    typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = fastifyCodes[code];
  if (known === 'BODY_TOO_LARGE') return new PlatformError(known, 'the request body is over its limit');
  if (known) return new PlatformError(known, error instanceof Error ? error.message : 'malformed request');
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? Number(error.statusCode) : 500;
  if (status >= 400 && status < 500) return new PlatformError('BAD_REQUEST', 'malformed request');
  return new PlatformError('INTERNAL_ERROR', 'an unexpected failure', { cause: error });
}

/** The correlation id of a request, which its answer tells, too. */
export function tellCorrelation(request: FastifyRequest, reply: FastifyReply): string {
  const told = reply.getHeader(correlationHeader);
  if (typeof told === 'string') return told;
  const id = request.graphContext?.scope.correlationId ?? givenCorrelation(request.headers) ?? newId();
  void reply.header(correlationHeader, id);
  return id;
}

export function sendError(request: FastifyRequest, reply: FastifyReply, error: PlatformError): FastifyReply {
  const correlationId = tellCorrelation(request, reply);
  // Closing at once would reset the connection under a client that is still sending: it would never read its answer.
  // Kept open, the rest is read and dropped until the request timeout.
  if (error.code === 'BODY_TOO_LARGE' || request.raw.complete) reply.removeHeader('connection');
  return reply
    .code(errorTable[error.code].status)
    .type('application/json; charset=utf-8')
    .send(bodyOf(error, correlationId));
}

/** Answers what the HTTP parser refused: there is no request then, only a socket. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const running: unknown = Reflect.get(socket, '_httpMessage');
  if (!isResponse(running)) endWith(socket, toClientError(error));
  // Bytes of ours in the middle of an answer would be taken for part of it.
  else if (running.headersSent) socket.destroy();
  else running.once('finish', () => endWith(socket, toClientError(error)));
}

function isResponse(value: unknown): value is ServerResponse {
  return typeof value === 'object' && value !== null && 'headersSent' in value;
}

function toClientError({ code }: { readonly code?: string }): PlatformError {
  if (code === 'HPE_HEADER_OVERFLOW') return new PlatformError('HEADERS_TOO_LARGE', 'the headers are over their limit');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new PlatformError('REQUEST_TIMEOUT', 'the request did not arrive in time');
  return new PlatformError('BAD_REQUEST', 'this is not HTTP');
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
};

/** The last answer on a socket that no HTTP response stands on. */
export function endWith(socket: Duplex, error: PlatformError, headers: IncomingHttpHeaders = {}): void {
  const correlationId = givenCorrelation(headers) ?? newId();
  const body = JSON.stringify(bodyOf(error, correlationId));
  socket.once('error', () => {});
  socket.end(
    `HTTP/1.1 ${error.status} ${reasons[error.status] ?? 'Error'}\r\nConnection: close\r\n` +
      `${correlationHeader}: ${correlationId}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function bodyOf(error: PlatformError, correlationId: string) {
  return { errors: [{ message: error.message, extensions: { ...toExtensions(error), correlationId } }] };
}
