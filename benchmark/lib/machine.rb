# frozen_string_literal: true

require "etc"
require "open3"

module Bench
  # Describes the machine and the programs of a run.
  module Machine
    module_function

    def processor
      File.read("/proc/cpuinfo")[/^model name\s*:\s*(.+)/, 1] || RUBY_PLATFORM
    end

    def facts
      {
        "processor" => "#{processor}, #{Etc.nprocessors} cores",
        "memory" => "#{(File.read("/proc/meminfo")[/^MemTotal:\s+(\d+)/, 1].to_i / 1024.0 / 1024).round(1)} GB",
        "kernel" => Etc.uname.values_at(:sysname, :release).join(" "),
        "Ruby" => "#{RUBY_VERSION}p#{RUBY_PATCHLEVEL}, JSON #{JSON::VERSION}",
        "Rust" => first_line("rustc", "--version"),
        "Redis" => first_line("redis-server", "--version")[/v=(\S+)/, 1],
        "gems" => gems,
        "this gem" => "#{Gem::Specification.load("aikido-zen-ipc.gemspec").version}, revision #{revision}"
      }
    end

    def gems
      %w[redis grpc drb].filter_map { |name| Gem::Specification.find_all_by_name(name).first&.full_name }.join(", ")
    end

    def revision
      changed = first_line("git", "status", "--porcelain", "--untracked-files=no", "--", "src", "ext", "lib")
      first_line("git", "rev-parse", "--short", "HEAD") + (changed.empty? ? "" : " with changes")
    end

    def program?(name)
      ENV.fetch("PATH").split(":").any? { |directory| File.executable?("#{directory}/#{name}") }
    end

    # @return [String] empty if there is no such program
    def first_line(*command)
      Open3.capture2(*command, err: File::NULL).first.lines.first.to_s.chomp
    rescue Errno::ENOENT
      ""
    end
  end
end
