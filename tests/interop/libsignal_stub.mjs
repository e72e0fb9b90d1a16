// Stands in for libsignal, which comes from a git repository and not from the registry. Only the
// WhatsApp channel calls it; whatever is loaded beside that channel asks for these names.
const absent = undefined;
export {
  absent as ProtocolAddress,
  absent as SessionBuilder,
  absent as SessionCipher,
  absent as SessionRecord,
  absent as calculateAgreement,
  absent as calculateMAC,
  absent as calculateSignature,
  absent as createKeyPair,
  absent as crypto,
  absent as curve,
  absent as decrypt,
  absent as deriveSecrets,
  absent as encrypt,
  absent as generateKeyPair,
  absent as hash,
  absent as keyhelper,
  absent as verifyMAC,
  absent as verifySignature,
};
export default {};
