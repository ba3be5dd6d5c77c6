import { PlatformError } from '#shared/errors.ts';
import type { MailTransport } from './senders.ts';

const timeoutMs = 10_000;

/**
 * Hands mail to an SMTP server (RFC 5321), a connection each: notifications are few. What the server refuses for good
 * (5xx) is not tried again, all else is by the job queue.
 */
export function createSmtpTransport({ url, from }: { readonly url: string; readonly from: string }): MailTransport {
  return {
    async send({ to, subject, text }) {
      // Loaded by the first mail: few processes send any.
      const { default: nodemailer } = await import('nodemailer');
      const transport = nodemailer.createTransport({
        url,
        connectionTimeout: timeoutMs,
        greetingTimeout: timeoutMs,
        socketTimeout: timeoutMs,
        // Neither files nor addresses: everything that is sent is given here.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      try {
        await transport.sendMail({ from, to, subject, text });
      } catch (error) {
        const { code, responseCode } = error as { readonly code?: string; readonly responseCode?: number };
        // Credentials that are not taken are mended by who runs the platform, and the mail goes then.
        if (code !== 'EAUTH' && responseCode !== undefined && responseCode >= 500)
          throw new PlatformError('VALIDATION_FAILED', `the mail server refused it with ${responseCode}`, {
            cause: error,
          });
        throw error;
      } finally {
        transport.close();
      }
    },
  };
}
