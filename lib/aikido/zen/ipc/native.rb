# frozen_string_literal: true

# Loads the library in Rust, and documents what is defined there and has no other Ruby file:
#
# @!parse
#   module Aikido
#     module Zen
#       module IPC
#         # @return [Integer] how many forks there are between this process and the one that loaded the gem
#         def self.fork_generation; end
#
#         # A server's secret. It can be handed to a client and compared, in constant time, and shows nothing.
#         class Secret
#           # @return [Boolean] whether the other is a {Secret} of the same bytes
#           def ==(other); end
#         end
#
#         # Values to JSON and back, as they cross a process boundary.
#         module Codec
#           # @return [String] JSON
#           # @raise [SerializationError]
#           def self.dump(value); end
#
#           # @return [Object]
#           # @raise [ProtocolError] if it is no JSON
#           def self.load(json); end
#
#           # @return [Object] as {.load}, frozen at every depth
#           # @raise [ProtocolError] if it is no JSON
#           def self.load_frozen(json); end
#         end
#       end
#     end
#   end

# A precompiled gem has a library for each version of Ruby; a gem that was compiled at installation has one.
precompiled = "aikido/zen/ipc/#{RUBY_VERSION[/\A\d+\.\d+/]}/aikido_zen_ipc"
begin
  require precompiled
rescue LoadError => e
  # The library is there but cannot be loaded, and this error says why.
  raise unless e.path == precompiled

  require "aikido/zen/ipc/aikido_zen_ipc"
end
