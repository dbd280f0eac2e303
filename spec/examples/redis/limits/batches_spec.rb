# frozen_string_literal: true

require_relative "../../../../examples/redis/limits/batches"

RSpec.describe Limits::Batches do
  subject(:batches) do
    described_class.new do |contents|
      sizes << contents.size
      may_go.pop
      contents.map { |content| answer_to(content) }
    end
  end

  let(:sizes) { Queue.new }
  let(:may_go) { Queue.new }

  def answer_to(content)
    content.is_a?(Exception) ? raise(content) : content.to_s
  end

  # @return [Thread] which is asking
  def ask(content)
    Thread.new { batches.call(content) }.tap do |thread|
      thread.report_on_exception = false
      eventually { expect(thread.status).to eq("sleep") }
    end
  end

  it "asks at once where nothing is on its way" do
    may_go << :go
    expect(batches.call(7)).to eq("7")
    expect(sizes.pop).to eq(1)
  end

  it "asks together what came while a batch was on its way, and gives each its own answer" do
    first = ask(0)
    others = [1, 2, 2, 3].map { |content| ask(content) }
    2.times { may_go << :go }

    expect([first, *others].map(&:value)).to eq(%w[0 1 2 2 3])
    expect(Array.new(sizes.size) { sizes.pop }).to eq([1, 4])
  end

  it "raises for one of a batch what the block raises, and asks again for the others" do
    first = ask(0)
    failing = ask(KeyError.new("of the block"))
    other = ask(1)
    3.times { may_go << :go }

    expect { failing.value }.to raise_error(KeyError, "of the block")
    expect([first, other].map(&:value)).to eq(%w[0 1])
  end
end
