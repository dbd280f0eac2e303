# frozen_string_literal: true

require "etc"

module Stress
  # Reads what Linux shows of a process in `/proc`.
  module ProcFs
    # Ticks of the kernel's clock in a second: the unit of the times in `/proc`.
    TICKS_PER_SECOND = Etc.sysconf(Etc::SC_CLK_TCK)
    private_constant :TICKS_PER_SECOND

    # Fields of `/proc/PID/stat` behind the name, which is in brackets: see proc(5), where they are 14 and 15.
    CPU_TIMES = 11..12
    private_constant :CPU_TIMES

    # Written to `clear_refs`, it makes the kernel forget the peak of the memory so far: see proc(5).
    FORGET_PEAK = "5"
    private_constant :FORGET_PEAK

    module_function

    # @param pid [Integer, String]
    # @return [Float] seconds of a core that the process has used
    def cpu_seconds(pid)
      fields(pid)[CPU_TIMES].sum(&:to_i).fdiv(TICKS_PER_SECOND)
    end

    # @param pid [Integer, String]
    # @return [Boolean] whether a signal has stopped it
    def stopped?(pid)
      fields(pid).first == "T"
    end

    # @param pid [Integer, String]
    # @return [Boolean] whether it has ended, also if its parent has not waited for it yet
    def ended?(pid)
      fields(pid).first == "Z"
    rescue Errno::ENOENT, Errno::ESRCH
      true
    end

    # @param pid [Integer, String]
    # @return [Integer] bytes that it has in memory
    def resident_bytes(pid)
      bytes(pid, "VmRSS")
    end

    # @param pid [Integer, String]
    # @return [Integer] bytes that it has had in memory at most
    def peak_bytes(pid)
      bytes(pid, "VmHWM")
    end

    # @param pid [Integer, String]
    # @return [Integer] bytes of its address space, which is what `RLIMIT_AS` limits
    def mapped_bytes(pid)
      bytes(pid, "VmSize")
    end

    # @param pid [Integer, String]
    # @return [Integer]
    def threads(pid)
      number(pid, "Threads")
    end

    # @param pid [Integer]
    # @return [Integer] bytes by which the peak of the process's memory came to lie above what it had before the block
    def peak_growth(pid)
      File.write("/proc/#{pid}/clear_refs", FORGET_PEAK)
      before = peak_bytes(pid)
      yield
      peak_bytes(pid) - before
    end

    # See `/proc/PID/stat` in proc(5).
    #
    # @return [Array<String>] what is behind the name, the state first
    def fields(pid)
      File.read("/proc/#{pid}/stat").rpartition(") ").last.split
    end
    private_class_method :fields

    def bytes(pid, name)
      number(pid, name) * 1024
    end
    private_class_method :bytes

    def number(pid, name)
      Integer(File.read("/proc/#{pid}/status")[/^#{name}:\s+(\d+)/, 1])
    end
    private_class_method :number

    # The memory of a process, page by page.
    class Memory
      # Bytes.
      PAGE = 4096

      # A mapping: the range of addresses, the permissions (`rw-p`), the flags of smaps (`dd` is "do not dump"), and
      # bytes of it that are the process's own and not a file's.
      Region = Struct.new(:range, :permissions, :flags, :anonymous_size) do
        def dumped?
          !flags.include?("dd")
        end

        # @return [Boolean] whether the process, or one that it was forked from, has written to it
        def written?
          permissions.start_with?("r") && (anonymous_size.positive? || permissions == "rw-s")
        end
      end

      EMPTY_PAGE = ("\0" * PAGE).freeze
      private_constant :EMPTY_PAGE

      # @return [String] the bytes without pages that were never written, of which a core dump has many
      def self.without_empty_pages(bytes)
        (0...bytes.bytesize).step(PAGE).filter_map do |at|
          page = bytes.byteslice(at, PAGE)
          page unless page == EMPTY_PAGE
        end.join
      end

      # @param pid [Integer] of a process that may be traced, and does nothing meanwhile
      def initialize(pid)
        @pid = pid
      end

      # @return [Hash{Integer => String}] the pages that core dumps leave out and that have anything on them, by address
      def undumped_pages
        read(regions.reject(&:dumped?)).to_h.reject { |_, page| page == EMPTY_PAGE }
      end

      # @param except [Array<Integer>] addresses of pages that are left out
      # @return [String] all that was ever written
      def content(except: [])
        read(regions).filter_map { |address, page| page unless except.include?(address) }.join
      end

      private

      # Reads only pages that are there: reading an untouched page would create one, which core dumps have then.
      def read(regions)
        File.open("/proc/#{@pid}/pagemap", "rb") do |map|
          File.open("/proc/#{@pid}/mem", "rb") do |memory|
            regions.select(&:written?).flat_map { |region| present_pages(map, region) }
                   .map { |address| [address, memory.pread(PAGE, address)] }
          end
        end
      end

      # Bits of an entry of pagemap: the page is in memory, or in swap.
      PRESENT = 0b11 << 62
      private_constant :PRESENT

      def present_pages(map, region)
        entries = map.pread(region.range.size / PAGE * 8, region.range.begin / PAGE * 8).unpack("Q*")
        region.range.step(PAGE).zip(entries).filter_map { |address, entry| address if entry.anybits?(PRESENT) }
      end

      HEADER = /\A(?<first>\h+)-(?<last>\h+) (?<permissions>\S{4}) /
      private_constant :HEADER

      def regions
        File.foreach("/proc/#{@pid}/smaps").slice_before(HEADER).map do |lines|
          header = HEADER.match(lines.first)
          about = lines.drop(1).to_h { |line| line.split(":", 2) }
          range = header[:first].hex...header[:last].hex
          Region.new(range, header[:permissions], about.fetch("VmFlags").split, about.fetch("Anonymous").to_i)
        end
      end
    end
  end
end
