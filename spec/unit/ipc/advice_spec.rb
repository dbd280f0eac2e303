# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::Advice do
  ipc = Aikido::Zen::IPC
  # The errors of socket(2), connect(2), getsockname(2) and getpeername(2) over TCP.
  errnos = %i[EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EBADF ECONNREFUSED ECONNRESET EHOSTUNREACH EMFILE
              ENETDOWN ENETUNREACH ENFILE ENOBUFS ENOMEM ENOTCONN ENOTSOCK EPERM EPROTONOSUPPORT ETIMEDOUT]
  otherwise = described_class.on(ipc::InternalError.new)

  errnos.each do |name|
    it "has something to say about #{name}, by which connecting can fail" do
      expect(described_class.on(ipc::ConnectionRefusedError.new("…", reason: Errno.const_get(name))))
        .not_to eq(otherwise)
    end
  end

  [ipc::TimeoutError, ipc::DisconnectedError, ipc::HandshakeError, ipc::ProtocolError, ipc::ClosedError].each do |error|
    it "has something to say about #{error}, and the same where it is only the reason" do
      advice = described_class.on(error.new)
      expect(advice).not_to eq(otherwise)
      expect(described_class.on(ipc::ConnectionRefusedError.new("…", reason: error))).to eq(advice)
    end
  end

  it "tells reasons apart" do
    advice = %i[ECONNREFUSED EADDRNOTAVAIL EAFNOSUPPORT EACCES EMFILE ENFILE ENOMEM ENETUNREACH].map do |name|
      described_class.on(ipc::ConnectionRefusedError.new("…", reason: Errno.const_get(name)))
    end
    expect(advice.uniq).to eq(advice)
  end
end
