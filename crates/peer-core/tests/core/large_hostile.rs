//! Senders of large messages that do not mean well.
