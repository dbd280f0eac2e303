# frozen_string_literal: true

# A precompiled gem has one library for each Ruby; one that was compiled at installation has one for this Ruby.
begin
  require "aikido/zen/ipc/#{RUBY_VERSION[/\A\d+\.\d+/]}/aikido_zen_ipc"
rescue LoadError
  require "aikido/zen/ipc/aikido_zen_ipc"
end
